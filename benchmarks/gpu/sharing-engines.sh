#!/usr/bin/env bash
# sharing-engines.sh OUT: twelve experiments with a fresh vLLM engine for each, as many as FRESH_LIMIT seconds allow, then
# on one engine. (The fresh ones first: whoever is first compiles kernels that stay in vLLM's cache.)
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
run() {  # NAME [pytest options]
    local began=$SECONDS
    timeout -s INT "${FRESH_LIMIT:-900}" python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v \
        --llem-results="$out/$1" "${@:2}" "$here/engine-sharing.yaml" 2>&1 | tee "$out/$1.log" | tail -22
    echo "$1: $((SECONDS - began)) s" | tee -a "$out/seconds.txt"
}
run fresh
run shared --llem-isolation=engine
