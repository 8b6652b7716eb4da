#!/usr/bin/env bash
# sharing.sh OUT: what happens when a GPU is not free: a process that squats on it, and two runs at the same time.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
work=$(mktemp -d)
llem="python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider"
one="$here/squat.yaml"

python3 -c 'import sys, torch; hold = torch.empty(2 << 30, dtype=torch.uint8, device="cuda"); print("held", flush=True); sys.stdin.read()' < <(sleep 120) >"$work/squatter" &
squatter=$!
until grep -q held "$work/squatter" 2>/dev/null; do sleep 0.2; done
echo "== a process holds 2 GiB: --llem-busy=fail"
$llem --llem-busy=fail --llem-results="$work/fail" "$one"; echo "exit status $?"
echo "== the same: --llem-busy=warn (the default)"
$llem --llem-results="$work/warn" "$one"; echo "exit status $?"
kill $squatter; wait $squatter 2>/dev/null
echo "== two runs at once: the second waits for the lock"
$llem --llem-results="$work/first" "$one" >"$work/first.log" 2>&1 &
first=$!
$llem --llem-results="$work/second" "$one" >"$work/second.log" 2>&1; echo "exit status $?"
wait $first; echo "exit status $?"
python3 - "$work" <<'P'
import json, pathlib, sys
for name in ("first", "second", "warn"):
    for path in pathlib.Path(sys.argv[1], name).glob("*/*/result.json"):
        r = json.loads(path.read_text())
        print(name, "lock_wait_s", round(r["lock_wait_s"], 2), "windows", [(round(w["start"], 2), round(w["end"], 2)) for w in r["repeats"]], r["validity"]["valid"], r["validity"]["reasons"], r["warnings"])
P
