#!/usr/bin/env bash
# gates.sh OUT: a gate on a real GPU, with vLLM, on a host that does nothing else. A baseline, the same code again (must not
# fail), a batch of 48 instead of 64 (must fail), and how large that change is in long windows. MODEL, COUNT, LIMIT (s, of
# each step): to try it elsewhere.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1
mkdir -p "$out"
work=$(mktemp -d) && mkdir "$work/studies" "$work/results"
site=$(mktemp -d) && mkdir "$site/served-1.dist-info"
printf 'Metadata-Version: 2.1\nName: served\nVersion: 1\n' >"$site/served-1.dist-info/METADATA"
printf '[pytest_llem.backends]\nserved = served_backend:ServedBackend\n' >"$site/served-1.dist-info/entry_points.txt"
export PYTHONPATH="$here:$site:$here/../../src:${PYTHONPATH:-}" PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
for study in gates gates-long; do
    sed "s/shape:llama-1b/${MODEL:-shape:llama-1b}/; s/n: 192/n: ${COUNT:-192}/" "$here/$study.yaml" >"$work/studies/$study.yaml"
done
keep() { tar -C "$work" --exclude timeseries.parquet -czf "$out/gates.tar.gz" .; }
began=$SECONDS
run() {  # NAME LIMIT STUDY [pytest options]
    echo "== $1"
    timeout "${LIMIT:-$2}" python3 -m pytest -p pytest_llem.plugin -p no:cacheprovider -v --llem-isolation=engine \
        --llem-results="$work/results/$1" --llem-json="$work/$1.json" "${@:4}" "$work/studies/$3.yaml" >"$out/gates-$1.log" 2>&1
    echo "exit status $?, $((SECONDS - began)) s since the start" | tee -a "$out/gates-$1.log"
    tail -22 "$out/gates-$1.log"
    keep
}

against="--llem-compare=$work/gate.json --llem-fail-on=energy_per_output_token_j:2%"
SERVED_BATCH=64 run baseline 300 gates "--llem-save=$work/gate.json"
SERVED_BATCH=64 run same 300 gates $against
SERVED_BATCH=48 run changed 300 gates $against
run long 240 gates-long
python3 - "$work" <<'P' 2>&1 | tee "$out/gates.txt"
import json, pathlib, sys
read = lambda name: json.loads(path.read_text()) if (path := pathlib.Path(sys.argv[1], f"{name}.json")).exists() else {}
for name in ("same", "changed"):
    for row in (read(name).get("comparison") or {}).get("comparisons", ()):
        low, high = row["interval"] or (0, 0)
        print(f"gate, {name:8}: {row['verdict']:12} now/before {row['ratio'] or 0:.4f} ({low:.4f} to {high:.4f}), p {row['p_value'] or 1:.4g}", row["reason"] or "", *row["notes"])
found = {result["cell_id"][-2:]: result for study in read("long")["studies"] for result in study["results"]}
figures = [(r["energy_per_output_token_j"], r["energy_per_output_token_j_ci95"]) for r in (found["48"], found["64"])]
(now, (now_low, now_high)), (before, (low, high)) = figures
print(f"long windows  : {now / before:.4f} (at most {now_low / high:.4f} to {now_high / max(low, 1e-9):.4f}), {before:.5f} and {now:.5f} J for each token")
P
keep
