#!/usr/bin/env bash
# docker/try.sh BACKEND IMAGE: tries a worker's image as a user would, on a machine with or without a GPU.
# The preflight looks at its labels and into it; the pytorch image also runs one experiment on the built-in tiny model.
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2,3p "$0" >&2; exit 2; }
backend=$1 image=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$backend" "$image" "$work" <<'PYTHON'
import sys
from pathlib import Path

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings

backend, image, work = sys.argv[1:]
place = Path(work)
launch = Launch(
    exchange=place,
    log=place / "log",
    run_id="try",
    cell_id="try",
    backend=backend,
)
DockerRunner(DockerSettings(images={backend: image})).preflight(launch)
print(f"preflight: {image} passed")
PYTHON

[ "$backend" = pytorch ] || exit 0
cat >"$work/try.yaml" <<'YAML'
llem: 1
model: tiny
dataset: {n: 2, input_tokens: 8}
max_output_tokens: 8
measure: {warmup: 1, repeats: 2, min_window_s: 0.2}
YAML
cd "$work" && python3 -m pytest try.yaml --llem-runner="docker:$image"
