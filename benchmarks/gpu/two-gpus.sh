#!/usr/bin/env bash
# two-gpus.sh OUT: all the evidence in one go on a host with two GPUs: PyTorch on the first, vLLM and containers on the second.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
CUDA_VISIBLE_DEVICES=0 "$here/pytorch.sh" "$out" >"$out/pytorch.log" 2>&1 &
first=$!
export CUDA_VISIBLE_DEVICES=1
FRESH_LIMIT=0 "$here/vllm.sh" "$out" >"$out/vllm.log" 2>&1
"$here/container.sh" "$out" >"$out/container.log" 2>&1
FRESH_LIMIT=150 "$here/vllm-fresh.sh" "$out" >"$out/fresh.log" 2>&1
wait $first
tail -n 45 "$out/pytorch.log" "$out/vllm.log" "$out/container.log" "$out/fresh.log"
