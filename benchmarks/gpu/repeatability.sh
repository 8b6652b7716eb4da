#!/usr/bin/env bash
# repeatability.sh OUT [TIMES]: the same experiments in fresh workers, one pytest run after another; then the table of
# how far they lie apart. Before that, whether recording slows a workload down.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) out=$1 times=${2:-10}
site=$(mktemp -d)
mkdir -p "$out" "$site/matmul-1.dist-info"
printf 'Metadata-Version: 2.1\nName: matmul\nVersion: 1\n' >"$site/matmul-1.dist-info/METADATA"
printf '[pytest_llem.backends]\nmatmul = matmul_backend:MatmulBackend\n' >"$site/matmul-1.dist-info/entry_points.txt"
export PYTHONPATH="$here:$site:${PYTHONPATH:-}"
for number in $(seq "$times"); do
    python3 -m pytest -p pytest_llem.plugin -q --llem-isolation=engine --llem-results="$out/repeat" \
        -p no:cacheprovider "$here/repeatability-llm.yaml" "$here/repeatability-matmul.yaml" \
        >"$out/repeat-$number.log" 2>&1 || tail -20 "$out/repeat-$number.log"
    python3 "$here/spread.py" "$out/repeat" >"$out/spread.txt" 2>&1
done
cat "$out/spread.txt"
