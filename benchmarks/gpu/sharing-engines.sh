#!/usr/bin/env bash
# sharing-engines.sh OUT: twelve experiments on one vLLM engine, then with a fresh engine for each, as many as
# FRESH_LIMIT seconds allow.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
echo "== one engine"
began=$SECONDS
python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v --llem-isolation=engine \
    --llem-results="$out/shared" "$here/engine-sharing.yaml" 2>&1 | tee "$out/shared.log" | tail -22
echo "shared: $((SECONDS - began)) s" | tee "$out/seconds.txt"
echo "== fresh engines"
began=$SECONDS
timeout -s INT "${FRESH_LIMIT:-900}" python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v \
    --llem-results="$out/fresh" "$here/engine-sharing.yaml" 2>&1 | tee "$out/fresh.log" | tail -22
echo "fresh: $((SECONDS - began)) s" | tee -a "$out/seconds.txt"
