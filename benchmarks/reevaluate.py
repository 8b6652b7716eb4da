"""reevaluate.py RUN: the energy of a run's experiments, computed again from their traces, by all four methods.

Reads each ``result.json`` (tokens of every window) and the ``trace.json.gz`` beside it; needs no GPU. Prints J per
output token with its 95 % interval, so that estimators can be compared on real recordings, old ones among them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pytest_llem.energy.estimators import METHODS, combine, estimate
from pytest_llem.energy.trace import read_traces


def main(run: Path) -> None:
    for path in sorted(run.glob("*/result.json")):
        result = json.loads(path.read_text())
        tokens = [window["output_tokens"] for window in result["repeats"]]
        traces = read_traces(path.parent / "trace.json.gz")
        if not tokens:  # written before windows were part of a result
            tokens = [sum(m.units for m in t.marks if m.label == "decode") + _firsts(result, t.marks) for t in traces]
        print(f"{result['cell_id']}  ({result['devices'][0]['uuid']}, {sum(tokens):.0f} output tokens)")
        for method in METHODS:
            found = [estimate(trace, method) for trace in traces]
            reasons = ", ".join(dict.fromkeys(code for energy in found for code in energy.reasons)) or "-"
            parts = [
                (e.energy_j, e.ci95, n) for e, n in zip(found, tokens, strict=True) if e.energy_j is not None and e.ci95
            ]
            if len(parts) < len(found):
                print(f"  {method:21} not to be had: {reasons}")
                continue
            figure = combine(parts)
            print(f"  {method:21} {figure.value:.5g} J/token ({figure.low:.5g} … {figure.high:.5g})  {reasons}")


def _firsts(result: dict[str, object], marks: object) -> int:
    """First tokens are made by prefill: one for each request of each pass."""
    config = result["config"]
    assert isinstance(config, dict)
    prefills = sum(mark.label == "prefill" for mark in marks)  # type: ignore[attr-defined]
    batches = -(-config["dataset"]["n"] // config["pytorch"]["batch_size"])
    return int(prefills / batches * config["dataset"]["n"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
