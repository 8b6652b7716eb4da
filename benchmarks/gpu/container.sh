#!/usr/bin/env bash
# container.sh OUT: the PyTorch backend in a container with the GPU by CDI, against the local runner; Ctrl-C in a study;
# what the preflight says where neither the toolkit nor CDI is there. Needs dockerd, /etc/cdi and an image llem-host:1
# that borrows the host's /usr and /opt.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
work=$(mktemp -d)
chmod 755 "$work"
docker build -q -t llem-host:2 - <<'D'
FROM llem-host:1
LABEL org.pytest-llem.protocol=1 org.pytest-llem.schema=1 org.pytest-llem.cuda=13.0
D
root=$(cd "$here/../.." && pwd)
export HOST_PYTHON=/opt/torch/.venv/bin/python3 HOST_MOUNTS=/usr:/opt:/tmp/llem-gpu:$root/src
export PYTHONPATH=$here:$PYTHONPATH
run="python3 -m pytest -p pytest_llem.plugin -p host_image -p no:cacheprovider -q"

echo "== without the toolkit and without CDI"
mv /etc/cdi /etc/cdi.away
$run --llem-runner=docker:llem-host:2 --llem-results="$work/none" "$here/container-1b.yaml"; echo "exit status $?"
mv /etc/cdi.away /etc/cdi
for round in 1 2 3; do
    for runner in local docker:llem-host:2; do
        $run --llem-runner=$runner --llem-results="$work/${runner%%:*}" "$here/container-1b.yaml" >"$work/${runner%%:*}-$round.log" 2>&1 || tail -30 "$work/${runner%%:*}-$round.log"
    done
done
python3 "$here/spread.py" "$work/local"
python3 "$here/spread.py" "$work/docker"
echo "== Ctrl-C in the middle of a study"
# A job in the background ignores SIGINT unless it is told not to.
env --default-signal=INT python3 -c 'import sys; from pytest_llem.cli import main; sys.exit(main())' run "$here/squat.yaml" "$here/container-1b.yaml" -p host_image -p no:cacheprovider \
    --llem-runner=docker:llem-host:2 --llem-results="$work/interrupted" >"$work/interrupted.log" 2>&1 &
pid=$!
for _ in $(seq 60); do docker ps --format '{{.Names}}' | grep -q . && break; sleep 0.5; done
sleep 8
kill -INT $pid; began=$SECONDS; wait $pid; echo "exit status $? after $((SECONDS - began)) s"
tail -8 "$work/interrupted.log"
echo "containers left: $(docker ps -aq --filter label=llem.run | wc -l)"
for manifest in "$work"/interrupted/*/manifest.json; do
    python3 -c 'import json, sys; m = json.load(open(sys.argv[1])); print(m["study"], m["status"], [c["status"] for c in m["cells"]])' "$manifest"
done
find "$work" -name timeseries.parquet -delete
tar -C "$work" -czf "$out/container.tar.gz" .
