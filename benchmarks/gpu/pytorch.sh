#!/usr/bin/env bash
# pytorch.sh OUT: the PyTorch backend and NVML's meter on a real GPU: two batch sizes, to compare with published figures.
# Needs the package on PYTHONPATH (or installed) and a free GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
cd "$here/../.."
nvidia-smi --query-gpu=name,uuid,driver_version,power.limit --format=csv,noheader | tee "$out/gpu.txt"
echo "== llama-1b, batches 64 and 1"
python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v --llem-results="$out/llama-1b" "$here/llama-1b.yaml" \
    2>&1 | tee "$out/llama-1b.log" | tail -14
