#!/usr/bin/env bash
# xdist.sh OUT: two pytest-xdist workers on a host with two GPUs, each experiment alone on one of them.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
unset CUDA_VISIBLE_DEVICES
python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v -n auto --llem-only --llem-results="$out/results" \
    "$here/xdist.yaml" 2>&1 | tee "$out/xdist.log" | tail -18
python3 - "$out" <<'P' | tee "$out/times.txt"
import json, pathlib, sys
rows = []
for path in pathlib.Path(sys.argv[1], "results").glob("*/*/result.json"):
    result = json.loads(path.read_text())
    rows.append((result["devices"][0]["uuid"], result["repeats"][0]["start"], result["repeats"][-1]["end"], result["cell_id"]))
for one in sorted(rows):
    print(f"{one[0]}  {one[1]:10.2f} to {one[2]:10.2f} s  {one[3]}")
overlaps = [(a, b) for a in rows for b in rows if a < b and a[0] == b[0] and a[1] < b[2] and b[1] < a[2]]
print(f"{len({one[0] for one in rows})} GPUs, {len(rows)} experiments, {len(overlaps)} overlaps on one GPU")
P
