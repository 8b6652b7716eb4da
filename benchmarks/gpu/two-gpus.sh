#!/usr/bin/env bash
# two-gpus.sh OUT: all the evidence on a host with two GPUs: both together first, then a queue for each, with half of the
# CPUs. What must not be disturbed (gates.sh, repeatability.sh) is better run on a host that does nothing else:
#   CUDA_VISIBLE_DEVICES=0 queue.sh OUT recorder-effect.sh repeatability.sh vllm:gates.sh vllm:following.sh
# The files OUT/ready/vllm and OUT/ready/docker say that, and with which environment, these can be used.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1 half=$(($(nproc) / 2))
on() {  # on GPU STEPS: in the background
    CUDA_VISIBLE_DEVICES=$1 taskset -c $(($1 * half))-$((($1 + 1) * half - 1)) "$here/queue.sh" "$out" "${@:2}" &
}
"$here/queue.sh" "$out" xdist.sh
on 0 vllm:following.sh gates.sh repeatability.sh vllm.sh
on 1 vllm:sharing-engines.sh recorder-effect.sh docker:container.sh gpu-tests.sh pytorch.sh
wait
