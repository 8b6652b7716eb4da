"""How far off the usual ways to measure energy are, and the bracketed one, by length of the window.

    python benchmarks/estimators.py [TRACES.json.gz]    (default: the recordings of the tests)

Root mean square error (%) of the energy per unit of work against the workload's ``_ref`` trace, for the recordings as
they are, and cut to 0.2 s of idle time and thinned to jittered reads every 20 ms. Workloads whose power had not settled
are left out: a short window of theirs really costs more.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pytest_llem.energy.estimators import METHODS, estimate
from pytest_llem.energy.trace import Trace, read_traces

TRACES = Path(__file__).parents[1] / "tests" / "data" / "h200_traces.json.gz"
IDLE_S = 0.2
GAP_S = 0.02

Errors = dict[tuple[str, str], list[float]]


def units(trace: Trace) -> float:
    return sum(mark.units for mark in trace.marks)


def references(traces: Iterable[Trace]) -> dict[str, float]:
    """J per unit of each workload whose reference trace had settled."""
    found = {}
    for trace in traces:
        if trace.name.endswith("_ref") and (result := estimate(trace)).settled and result.energy_j is not None:
            found[trace.name.removesuffix("_ref")] = result.energy_j / units(trace)
    return found


def thinned(trace: Trace, rng: np.random.Generator) -> Trace:
    """Little idle time, few reads."""
    rows = trace.energy[(trace.energy[:, 0] >= trace.t0 - IDLE_S) & (trace.energy[:, 1] <= trace.t1 + IDLE_S)]
    kept, due = [], -np.inf
    for row in rows:
        if row[0] >= due:
            kept.append(row)
            due = row[0] + GAP_S * rng.uniform(0.5, 1.5)
    power = trace.power[(trace.power[:, 0] >= trace.t0 - IDLE_S) & (trace.power[:, 0] <= trace.t1 + IDLE_S)]
    return replace(trace, energy=np.array(kept), power=power)


def errors(traces: Iterable[Trace], known: dict[str, float]) -> Errors:
    """Relative errors by (length, method)."""
    found: Errors = defaultdict(list)
    for trace in traces:
        workload, _, length = trace.name.rpartition("_")
        if workload not in known or length == "ref":
            continue
        for method in METHODS:
            energy = estimate(trace, method).energy_j
            if energy is not None:
                found[length, method].append(energy / units(trace) / known[workload] - 1)
    return found


def table(found: Errors) -> str:
    """A Markdown table, a row for each length."""
    lines = ["| window | " + " | ".join(METHODS) + " | n |", "| --- |" + " --- |" * (len(METHODS) + 1)]
    for length in sorted({length for length, _ in found}, key=float):
        rms = [100 * float(np.sqrt(np.mean(np.square(found[length, method])))) for method in METHODS]
        cells = " | ".join(f"{value:.1f}" for value in rms)
        lines.append(f"| {length} s | {cells} | {len(found[length, METHODS[0]])} |")
    return "\n".join(lines)


def main(path: Path) -> None:
    traces = read_traces(path)
    known = references(traces)
    rng = np.random.default_rng(0)
    print(f"Error of energy per unit, rms %, {traces[0].device}, driver {traces[0].driver}: {', '.join(known)}\n")
    print("As recorded\n\n" + table(errors(traces, known)) + "\n")
    cut = [thinned(trace, rng) for trace in traces]
    print(f"Cut to {IDLE_S} s of idle time, read every {GAP_S * 1000:.0f} ms\n\n" + table(errors(cut, known)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TRACES)
