#!/usr/bin/env bash
# two-gpus.sh OUT [LANE]: all the evidence at once on a host with two GPUs: both together first, then a lane for each, with
# half of the CPUs. Each step waits for the file that it names below OUT/ready, so that what it needs may still be on its
# way; `run.log` tells.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out/ready"
step() {  # step NEEDS SCRIPT: one script, once what it needs is there
    local needs=$1 name=${2%.sh}
    until [ "$needs" = nothing ] || [ -e "$out/ready/$needs" ]; do sleep 1; done
    [ ! -e "$out/ready/$needs" ] || . "$out/ready/$needs"
    echo "$(date +%T) GPU ${CUDA_VISIBLE_DEVICES-all}: $name"
    "$here/$2" "$out/$name" >"$out/$name.txt" 2>&1
    echo "$(date +%T) GPU ${CUDA_VISIBLE_DEVICES-all}: $name ended with $?"
}
lane() {  # lane NUMBER: this script again, on one GPU and its half of the CPUs
    local half=$(($(nproc) / 2))
    CUDA_VISIBLE_DEVICES=$1 taskset -c $(($1 * half))-$((($1 + 1) * half - 1)) "$0" "$out" "$1"
}
case ${2:-both} in
0) step vllm following.sh; step nothing gates.sh; step nothing repeatability.sh; step nothing vllm.sh ;;
1) step vllm sharing-engines.sh; step nothing recorder-effect.sh; step docker container.sh; step nothing gpu-tests.sh; step nothing pytorch.sh ;;
both) step nothing xdist.sh; lane 0 & lane 1 & wait ;;
esac >>"$out/run.log" 2>&1
