#!/usr/bin/env bash
# vllm.sh OUT: vLLM on a real GPU: Llama-8B's shape at three batch sizes, and one engine for twelve experiments.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
work=$(mktemp -d)
keep() { tar -C "$work" --exclude timeseries.parquet -czf "$out/vllm.tar.gz" .; }
run() { timeout "$1" python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -q "${@:2}" 2>&1 | tail -25; }
echo "== llama-8b, 1, 64 and 256 requests"
run 220 --llem-isolation=engine --llem-results="$work/8b" "$here/vllm-8b.yaml"
keep
echo "== twelve experiments, one engine"
began=$SECONDS
run 200 --llem-isolation=engine --llem-results="$work/shared" "$here/engine-sharing.yaml"
echo "shared: $((SECONDS - began)) s"
keep
