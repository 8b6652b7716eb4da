#!/usr/bin/env bash
# A real Docker Engine for the tests, on a machine that may have none and may reach no image registry.
#
#   eval "$(ci/docker.sh up)"     installs and starts an engine of its own, makes the images, prints what to export
#   ci/docker.sh engine           the engine and the base image only, without the worker's image
#   ci/docker.sh vllm             all of "up", and vLLM's image: the tests' stand-in for the official one, with our worker
#   ci/docker.sh down             stops the engine; its images stay for the next time
#
# Needs root, apt and Debian's packages. The engine has a socket, a data folder and no bridge of its own, so that
# nothing else on the machine notices it.
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pytest-llem
RUN=${LLEM_ENGINE_RUN:-/run/pytest-llem}
SOCKET=$RUN/docker.sock
BASE=local/python:3.11
WORKER=local/pytest-llem/pytorch:ci
VLLM_BASE=local/vllm-cpu:ci
VLLM_WORKER=local/pytest-llem/vllm:ci
# Debian's client, whose BuildKit needs no plug-in; another one may come first in PATH.
DOCKER=/usr/bin/docker
export DOCKER_HOST=unix://$SOCKET DOCKER

say() { printf '[docker %3ds] %s\n' "$SECONDS" "$*" >&2; }

install() {
    local missing=()
    [ -x "$DOCKER" ] && command -v dockerd >/dev/null || missing+=(docker.io)
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    [ ${#missing[@]} -eq 0 ] && return
    say "apt: ${missing[*]}"
    # The package's own service would set up a bridge and firewall rules; this engine is started by hand below.
    local policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap "rm -f $policy" RETURN; }
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${missing[@]}" tini; } >&2
}

start() {
    "$DOCKER" version >/dev/null 2>&1 && return
    mkdir -p "$RUN" "$CACHE/engine"
    rm -f "$RUN/docker.pid"
    say "starting dockerd on $SOCKET"
    setsid dockerd --host "$DOCKER_HOST" --data-root "$CACHE/engine" --exec-root "$RUN/exec" --pidfile "$RUN/docker.pid" \
        --bridge=none --iptables=false --ip6tables=false >"$RUN/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 100); do "$DOCKER" version >/dev/null 2>&1 && return; sleep 0.2; done
    tail -20 "$RUN/dockerd.log" >&2
    say "the engine did not start; its log is $RUN/dockerd.log"
    exit 1
}

stop() {
    [ -s "$RUN/docker.pid" ] || return 0
    local pid
    pid=$(cat "$RUN/docker.pid")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 150); do [ -d "/proc/$pid" ] || return 0; sleep 0.2; done
    say "dockerd ($pid) does not stop"
    exit 1
}

worker_image() {
    local wheels=() folder
    # A folder of wheels that pip uses on this machine is not visible in a build unless it is handed over.
    for folder in $(python3 -m pip config get global.find-links 2>/dev/null) ${PIP_FIND_LINKS:-}; do
        [ -d "$folder" ] && wheels=(--wheels "$folder")
    done
    docker/build.sh pytorch --base "$BASE" --cuda none --tag "$WORKER" "${wheels[@]}" -- --network=host >&2
}

# After worker_image, which hands over the wheels.
vllm_image() {
    DOCKER_BUILDKIT=1 "$DOCKER" build --file ci/vllm-cpu.Dockerfile --tag "$VLLM_BASE" \
        --build-arg "BASE_IMAGE=$BASE" --network=host . >&2
    docker/build.sh vllm --base "$VLLM_BASE" --cuda none --tag "$VLLM_WORKER" -- --network=host >&2
}

case "${1:-}" in
up | engine | vllm)
    install
    start
    say "engine $("$DOCKER" version --format '{{.Server.Version}}') is up"
    ci/base_image.sh "$BASE" "$CACHE/base-bookworm-1.tar" >&2
    say "base image $BASE is there"
    if [ "$1" != engine ]; then
        worker_image
        say "worker image $WORKER is there"
        echo "export LLEM_IMAGE_PYTORCH=$WORKER"
    fi
    if [ "$1" = vllm ]; then
        vllm_image
        say "worker image $VLLM_WORKER is there"
        echo "export LLEM_IMAGE_VLLM=$VLLM_WORKER"
    fi
    echo "export DOCKER_HOST=$DOCKER_HOST LLEM_TEST_BASE_IMAGE=$BASE"
    ;;
down) stop ;;
*)
    sed -n '2,10p' "$0" >&2
    exit 2
    ;;
esac
