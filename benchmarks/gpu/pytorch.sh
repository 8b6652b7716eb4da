#!/usr/bin/env bash
# pytorch.sh OUT: the PyTorch backend and NVML's meter on a real GPU. OUT gets logs and one archive of results.
# Needs the package on PYTHONPATH (or installed) and a free GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
cd "$root"
llem="python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider"

nvidia-smi --query-gpu=name,uuid,driver_version,power.limit --format=csv,noheader | tee "$out/gpu.txt"
echo "== tests that need a GPU"
python3 -m pytest -q -p no:cacheprovider -m gpu tests/energy tests/backends 2>&1 | tee "$out/gpu-tests.log" | tail -25
echo "== llama-1b, batches 64 and 1"
$llem -v --llem-results="$work/llama-1b" "$here/llama-1b.yaml" 2>&1 | tee "$out/llama-1b.log" | tail -30
tar -C "$work" -czf "$out/results.tar.gz" .
