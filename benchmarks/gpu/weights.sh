#!/usr/bin/env bash
# weights.sh OUT: whether the values of the weights matter to energy, with vLLM on Llama-8B's shape.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
export VLLM_ALLOW_INSECURE_SERIALIZATION=1 # a function goes to vLLM's worker
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} ROUNDS=${ROUNDS:-3} python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider \
    -q -s --llem-results="$out/results" "$here/test_weights.py" >"$out/weights.log" 2>&1
grep -E "tokens/s|^[a-z]+( again)?:|J/token|passed|failed|Error" "$out/weights.log"
