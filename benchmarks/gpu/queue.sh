#!/usr/bin/env bash
# queue.sh OUT [READY:]SCRIPT ...: scripts of this folder, one after another. One that needs something waits for the file
# OUT/ready/READY, which it sources, so that what it needs may still be on its way. OUT/run.log tells.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out/ready"
for step in "${@:2}"; do
    script=${step#*:} name=$(basename "${step#*:}" .sh)
    if [ "$step" != "$script" ]; then
        until [ -e "$out/ready/${step%%:*}" ]; do sleep 1; done
        . "$out/ready/${step%%:*}"
    fi
    echo "$(date +%T) GPU ${CUDA_VISIBLE_DEVICES-all}: $name"
    "$here/$script" "$out/$name" >"$out/$name.txt" 2>&1
    echo "$(date +%T) GPU ${CUDA_VISIBLE_DEVICES-all}: $name ended with $?"
done >>"$out/run.log" 2>&1
