#!/usr/bin/env bash
# gpu-tests.sh OUT: the tests that need a GPU.
set -uo pipefail
out=$1
mkdir -p "$out"
cd "$(dirname "$0")/../.."
timeout 200 python3 -m pytest -q -p no:cacheprovider -m gpu tests/energy tests/backends 2>&1 | tee "$out/gpu-tests.log" | tail -25
