"""What is said of budgets and comparisons, alike in every kind of output."""

from __future__ import annotations

from pytest_llem.report.units import NONE, figure, figures
from pytest_llem.results.comparison import Comparison
from pytest_llem.results.model import Outcome, Verdict
from pytest_llem.results.rules import HIGHER_IS_BETTER

WORST_FIRST: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def limits(verdict: Verdict) -> str:
    """``<= 500 mJ``, as a budget is written."""
    ends = ((verdict.max, "<="), (verdict.min, ">="))
    return " and ".join(f"{sign} {figure(end, verdict.metric)}" for end, sign in ends if end is not None)


def judged(verdict: Verdict, found: str = "found", digits: int = 3) -> str:
    """``energy_j <= 1.00 J, found 1.50 J (1.40 … 1.60 J): why``; ``digits`` of the value, which may be close."""
    within = f" ({figures(verdict.interval, verdict.metric)})" if verdict.interval is not None else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    value = figure(verdict.value, verdict.metric, digits)
    return f"{verdict.metric} {limits(verdict)}, {found} {value}{within}{reason}"


def plural(count: int, word: str) -> str:
    """``1 cell``, ``1,234 cells``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def percent(ratio: float) -> str:
    """``1.031`` makes ``+3.1``; what is beyond any use makes ``∞``."""
    value = 100 * (ratio - 1)
    if value > 1e4:
        return "∞"
    return f"{value:+.{2 if abs(value) < 1 else 1 if abs(value) < 100 else 0}f}"


def change(row: Comparison) -> str:
    """``↑ +3.1 % (+1.2 … +5.0)``: an arrow where the interval leaves out "no change", then ratio and interval."""
    if row.ratio is None or row.interval is None:
        return NONE
    low, high = row.interval
    arrow = "↑" if low > 1 else "↓" if high < 1 else "→"
    return f"{arrow} {percent(row.ratio)} % ({percent(low)} … {percent(high)})"


def remarks(row: Comparison) -> list[str]:
    """What is to be said of a comparison besides its figures."""
    said = [row.reason] if row.reason else []
    if row.verdict == "inconclusive" and row.smallest_change is not None:
        cycles = f"{row.cycles_now} cycles against {row.cycles_before}"
        worse = "drop" if row.metric.partition(".")[0] in HIGHER_IS_BETTER else "rise"
        share = 100 * row.smallest_change
        said.append(f"{cycles} could have found " + (f"a {worse} of {share:.3g} %" if share < 1000 else f"no {worse}"))
    return [*said, *row.notes]
