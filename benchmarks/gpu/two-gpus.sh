#!/usr/bin/env bash
# two-gpus.sh OUT [LANE]: all the evidence at once on a host with two GPUs: a lane for each, then both together. Each step
# waits for the file that it names below OUT/ready, so that what it needs may still be on its way; `run.log` tells.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out/ready"
step() {  # step NEEDS SCRIPT FOLDER: one script, once what it needs is there
    local needs=$1 script=$2 folder=$3
    until [ "$needs" = nothing ] || [ -e "$out/ready/$needs" ]; do sleep 1; done
    [ ! -e "$out/ready/$needs" ] || . "$out/ready/$needs"
    echo "$(date +%T) GPU $CUDA_VISIBLE_DEVICES: $script"
    "$here/$script" "$out/$folder" >"$out/$folder.txt" 2>&1
    echo "$(date +%T) GPU $CUDA_VISIBLE_DEVICES: $script ended with $?"
}
case ${2:-both} in
0) export CUDA_VISIBLE_DEVICES=0; step nothing pytorch.sh pytorch; step nothing repeatability.sh repeatability; step nothing gpu-tests.sh gpu-tests; step vllm vllm.sh vllm ;;
1) export CUDA_VISIBLE_DEVICES=1; step docker container.sh container; step nothing recorder-effect.sh recorder-effect; step vllm gates.sh gates; step vllm sharing-engines.sh sharing-engines ;;
both) "$0" "$out" 0 & "$0" "$out" 1 & wait ;;
esac >>"$out/run.log" 2>&1
