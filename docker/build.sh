#!/usr/bin/env bash
# docker/build.sh BACKEND [options] [-- docker build options]: builds the worker's image for pytorch or vllm.
#
#   --base IMAGE     base image; default: the Dockerfile's
#   --cuda VERSION   CUDA version of the inference library in it, "none" for a CPU build; default: the Dockerfile's
#   --tag TAG        default: the published name
#   --wheels FOLDER  wheels to prefer, for instance a CPU build of torch; may be given more than once
#   --print          build nothing: print name and build arguments, for the workflow that publishes
#
# DOCKER names the client. Docker's BuildKit is needed, as part of the engine (DOCKER_BUILDKIT=1) or as buildx.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,10p' docker/build.sh >&2; exit 2; }
constant() { sed -nE "s/^$1 = \"?([^\"]+)\"?\$/\1/p" "$2"; }

backend=${1:-}
[ -f "docker/$backend.Dockerfile" ] || usage
shift
docker=${DOCKER:-docker}
# The clean source of a tag makes that release's image; any other the one that versions under development look for.
release=$(git describe --tags --exact-match --match 'v*' --dirty=.dev 2>/dev/null) || release=dev
case $release in
*dev) release=dev version=0.0.0.dev0$(git log -1 --format=+g%h 2>/dev/null) || version=0.0.0.dev0 ;;
*) release=${release#v} version=$release ;;
esac
arguments=(
    "PROTOCOL=$(constant PROTOCOL_VERSION src/pytest_llem/runners/messages.py)"
    "SCHEMA=$(constant SCHEMA_VERSION src/pytest_llem/results/model.py)"
    "VERSION=$version"
)
print=
cuda=$(sed -nE 's/^ARG CUDA=(.+)$/\1/p' "docker/$backend.Dockerfile")
tag=
while [ $# -gt 0 ]; do
    case "$1" in
    --base) arguments+=("BASE_IMAGE=$2"); shift 2 ;;
    --cuda) cuda=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    --wheels) find "$2" -maxdepth 1 -name '*.whl' -exec cp --link --update -t docker/wheels {} + 2>/dev/null ||
        find "$2" -maxdepth 1 -name '*.whl' -exec cp --update -t docker/wheels {} +
        shift 2 ;;
    --print) print=1; shift ;;
    --) shift; break ;;
    *) usage ;;
    esac
done
flavour=cuda${cuda%%.*}
[ "$cuda" = none ] && flavour=cpu
tag=${tag:-ghcr.io/pytest-llem/pytest-llem/$backend:$release-$flavour}
arguments+=("CUDA=$cuda")
[ -z "$print" ] || { printf '%s\n' "image=$tag" "arguments<<END" "${arguments[@]}" END; exit; }

DOCKER_BUILDKIT=1 "$docker" build --file "docker/$backend.Dockerfile" --tag "$tag" \
    "${arguments[@]/#/--build-arg=}" "$@" .
echo "built $tag"
