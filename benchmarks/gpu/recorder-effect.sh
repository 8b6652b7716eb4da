#!/usr/bin/env bash
# recorder-effect.sh OUT: does recording slow the workload down?
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
PYTHONPATH="$here:${PYTHONPATH:-}" python3 "$here/recorder_effect.py" 5 20 2>&1 | tee "$out/recorder-effect.log" | grep =
