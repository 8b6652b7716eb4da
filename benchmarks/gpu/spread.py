"""spread.py RESULTS: how far repeated runs of one configuration lie apart, by window length; what recording costs.

Energies are evaluated again from the traces, so that older recordings show what today's estimator makes of them.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

from pytest_llem.energy.estimators import combine, estimate
from pytest_llem.energy.estimators.interval import Part
from pytest_llem.energy.trace import read_traces
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import read_result


def main(folder: Path) -> None:
    groups: dict[tuple[str, str], list[ExperimentResult]] = defaultdict(list)
    for path in sorted(folder.glob("*/*/result.json")):
        result = read_result(path)
        groups[result.study, result.cell_id].append(result)
    print(
        f"{'study':22} {'cell':26} runs  mJ/token     CV %  single window CV %  mean 95 % half-width %"
        "  CV tokens/s %  recorder CPU %  valid"
    )
    for (study, cell), results in sorted(groups.items()):
        windows = [parts(folder, result) for result in results]
        figures = [combine(each) for each in windows if len(each) == len(results[0].repeats)]
        if len(figures) < 2:
            continue
        values = [figure.value for figure in figures]
        singles = [energy / tokens for each in windows for energy, _, tokens in each]
        halves = [(figure.high - figure.low) / 2 / figure.value for figure in figures]
        rates = [r.output_tokens_per_s for r in results]
        costs = [r.recorder.cpu_share for r in results if r.recorder]
        print(
            f"{study:22} {cell:26} {len(figures):4}  {1e3 * statistics.fmean(values):8.3f} {percent(values):8.2f} "
            f"{percent(singles):19.2f} {100 * statistics.fmean(halves):23.2f} {percent(rates):14.2f} "
            f"{100 * statistics.fmean(costs):15.2f}  {len(figures)}/{len(results)}"
        )


def parts(folder: Path, result: ExperimentResult) -> list[Part]:
    """Energy, interval and output tokens of each window that can be evaluated."""
    traces = read_traces(folder / result.run_id / result.cell_id / "trace.json.gz")
    found = [(estimate(trace), window) for trace, window in zip(traces, result.repeats, strict=True)]
    return [(e.energy_j, e.ci95, float(w.output_tokens)) for e, w in found if e.energy_j is not None and e.ci95]


def percent(values: list[float]) -> float:
    """Coefficient of variation in percent."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
