#!/usr/bin/env bash
# container.sh OUT: the PyTorch backend in a container with the GPU by CDI, against the local runner; Ctrl-C in a study;
# what the preflight says where neither the toolkit nor CDI is there. Needs dockerd, /etc/cdi and an image llem-host:1
# that borrows the host's /usr and /opt.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
chmod 755 "$out"
. "$here/borrowed_image.sh"
run() { python3 -m pytest -p pytest_llem.plugin -p host_image -p no:cacheprovider -q --llem-isolation=engine "$@" "$here/container-1b.yaml" 2>&1; }

echo "== in turn, locally and in a container"
for round in 1 2 3 4; do
    for runner in local docker:$IMAGE; do
        run --llem-runner=$runner --llem-results="$out/${runner%%:*}" >"$out/${runner%%:*}-$round.log" || tail -30 "$out/${runner%%:*}-$round.log"
    done
done
{ python3 "$here/spread.py" "$out/local"; python3 "$here/spread.py" "$out/docker"; } | tee "$out/spread.txt"
echo "== Ctrl-C in the middle of a study"
{
    # A job in the background ignores SIGINT unless it is told not to.
    env --default-signal=INT python3 -c 'import sys; from pytest_llem.cli import main; sys.exit(main())' run \
        "$here/squat.yaml" "$here/container-1b.yaml" -p host_image -p no:cacheprovider \
        --llem-runner=docker:$IMAGE --llem-results="$out/interrupted" >"$out/interrupted.log" 2>&1 &
    pid=$!
    for _ in $(seq 60); do docker ps --format '{{.Names}}' | grep -q . && break; sleep 0.5; done
    sleep 8
    kill -INT $pid; began=$SECONDS; wait $pid; echo "exit status $? after $((SECONDS - began)) s"
    tail -8 "$out/interrupted.log"
    echo "containers left: $(docker ps -aq --filter label=llem.run | wc -l)"
    for manifest in "$out"/interrupted/*/manifest.json; do
        python3 -c 'import json, sys; m = json.load(open(sys.argv[1])); print(m["study"], m["status"], [c["status"] for c in m["cells"]])' "$manifest"
    done
} | tee "$out/ctrl-c.txt"
echo "== without the toolkit and without CDI"
mv /etc/cdi/* "$out/"  # last: the engine does not see it come back
{ run --llem-runner=docker:$IMAGE --llem-results="$out/none"; echo "exit status $?"; } | tee "$out/preflight.log"
mv "$out"/nvidia.* /etc/cdi/
