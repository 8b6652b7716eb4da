#!/usr/bin/env bash
# pytorch.sh OUT: the PyTorch backend and NVML's meter on a real GPU. OUT gets logs and one archive of results.
# Needs the package on PYTHONPATH (or installed) and a free GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
cd "$root"
keep() { tar -C "$work" --exclude timeseries.parquet -czf "$out/results.tar.gz" .; }

nvidia-smi --query-gpu=name,uuid,driver_version,power.limit --format=csv,noheader | tee "$out/gpu.txt"
echo "== llama-1b, batches 64 and 1"
python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v --llem-results="$work/llama-1b" "$here/llama-1b.yaml" >"$out/llama-1b.log" 2>&1; tail -14 "$out/llama-1b.log"
keep
echo "== does recording slow the workload down"
python3 "$here/recorder_effect.py" 5 >"$out/recorder-effect.log" 2>&1; tail -3 "$out/recorder-effect.log"
echo "== ten times in fresh workers"
timeout "${REPEAT_LIMIT:-330}" "$here/repeatability.sh" "$work/repeat" 10 >"$out/repeatability.log" 2>&1; tail -40 "$out/repeatability.log"
python3 "$here/spread.py" "$work/repeat" >"$out/spread.txt" 2>&1; cat "$out/spread.txt"
keep
echo "== tests that need a GPU"
timeout 100 python3 -m pytest -q -p no:cacheprovider -m gpu tests/energy >"$out/gpu-tests.log" 2>&1; tail -8 "$out/gpu-tests.log"
