"""spread.py RESULTS: how far repeated runs of one configuration lie apart, by window length; what recording costs."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

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
        figures = [r.energy_per_output_token_j for r in results if r.energy_per_output_token_j is not None]
        if len(figures) < 2:
            continue
        windows = [w.energy_j / w.output_tokens for r in results for w in r.repeats if w.energy_j is not None]
        halves = [
            (r.energy_per_output_token_j_ci95[1] - r.energy_per_output_token_j_ci95[0])
            / 2
            / r.energy_per_output_token_j
            for r in results
            if r.energy_per_output_token_j_ci95 and r.energy_per_output_token_j
        ]
        rates = [r.output_tokens_per_s for r in results]
        costs = [r.recorder.cpu_share for r in results if r.recorder]
        print(
            f"{study:22} {cell:26} {len(figures):4}  {1e3 * statistics.fmean(figures):8.3f} {percent(figures):8.2f} "
            f"{percent(windows):19.2f} {100 * statistics.fmean(halves):23.2f} {percent(rates):14.2f} "
            f"{100 * statistics.fmean(costs):15.2f}  {sum(r.validity.valid for r in results)}/{len(results)}"
        )


def percent(values: list[float]) -> float:
    """Coefficient of variation in percent."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
