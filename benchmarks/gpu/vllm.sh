#!/usr/bin/env bash
# vllm.sh OUT: vLLM on a real GPU: Llama-8B's shape at 1, 64 and 256 requests, in a local process and, where an engine
# with the GPU runs, in a container.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
run() { python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v --llem-isolation=engine "$@" "$here/vllm-8b.yaml" 2>&1; }
echo "== llama-8b, 1, 64 and 256 requests"
run --llem-results="$out/local" | tee "$out/local.log" | tail -14
docker info >/dev/null 2>&1 || exit 0
echo "== the same in a container"
. "$here/borrowed_image.sh"
run -p host_image --llem-runner=docker:$IMAGE --llem-results="$out/container" | tee "$out/container.log" | tail -25
