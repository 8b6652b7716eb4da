#!/usr/bin/env bash
# vllm-fresh.sh OUT: the experiments of engine-sharing.yaml with a fresh engine for each, as many as FRESH_LIMIT s allow.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
work=$(mktemp -d)
began=$SECONDS
timeout -s INT "${FRESH_LIMIT:-600}" python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -q \
    --llem-results="$work/fresh" "$here/engine-sharing.yaml" 2>&1 | tail -25
echo "fresh: $((SECONDS - began)) s"
tar -C "$work" --exclude timeseries.parquet -czf "$out/fresh.tar.gz" .
