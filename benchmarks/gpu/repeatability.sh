#!/usr/bin/env bash
# repeatability.sh RESULTS [TIMES]: the same experiments in fresh workers, one pytest run after another; then the table.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
results=$1 times=${2:-10}
site=$(mktemp -d)
mkdir "$site/matmul-1.dist-info"
printf 'Metadata-Version: 2.1\nName: matmul\nVersion: 1\n' >"$site/matmul-1.dist-info/METADATA"
printf '[pytest_llem.backends]\nmatmul = matmul_backend:MatmulBackend\n' >"$site/matmul-1.dist-info/entry_points.txt"
export PYTHONPATH="$here:$site:${PYTHONPATH:-}"
for number in $(seq "$times"); do
    python3 -m pytest -p pytest_llem.plugin -q --llem-isolation=engine --llem-results="$results" -p no:cacheprovider \
        "$here/repeatability-llm.yaml" "$here/repeatability-matmul.yaml" >"$results.$number.log" 2>&1 ||
        tail -20 "$results.$number.log"
done
python3 "$here/spread.py" "$results"
