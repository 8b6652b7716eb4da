#!/usr/bin/env bash
# following.sh OUT: what timing each request costs, against vLLM's own `generate`, and what its prefix cache would save.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -q -s --llem-results="$out/results" \
    "$here/test_following.py" >"$out/following.log" 2>&1
grep -E "tokens/s|passed|failed|Error" "$out/following.log"
