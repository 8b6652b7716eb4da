#!/usr/bin/env bash
# vllm.sh OUT: vLLM on a real GPU: Llama-8B's shape at three batch sizes, and one engine for twelve experiments.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
work=$(mktemp -d)
run="python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -q"
echo "== llama-8b, 1, 64 and 256 requests"
$run --llem-isolation=engine --llem-results="$work/8b" "$here/vllm-8b.yaml" 2>&1 | tail -25
tar -C "$work" --exclude timeseries.parquet -czf "$out/vllm.tar.gz" .
echo "== twelve experiments, one engine"
began=$SECONDS
timeout 200 $run --llem-isolation=engine --llem-results="$work/shared" "$here/engine-sharing.yaml" 2>&1 | tail -22
echo "shared: $((SECONDS - began)) s"
began=$SECONDS
timeout "${FRESH_LIMIT:-330}" $run --llem-results="$work/fresh" "$here/engine-sharing.yaml" 2>&1 | tail -22
echo "fresh: $((SECONDS - began)) s"
tar -C "$work" --exclude timeseries.parquet -czf "$out/vllm.tar.gz" .
