"""Is it dearer than before? Every configuration of a run against a baseline: pass, fail, or not sure. Of a study's two
variants the first is the second's baseline.

*Fail*: the change for the worse is significant (Holm's p-value, over all comparisons of the gate, is at most alpha) and
beyond the tolerance (the whole interval is). *Pass*: the whole interval is within the tolerance. *Inconclusive*:
anything else; it then says how large a change these cycles could have seen, and how many cycles would decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import Baseline, Entry
from pytest_llem.results.comparison import Comparison, Gate, Report, Test
from pytest_llem.results.differences import environment_notes, notes, other_output, refusal, variant_notes, widening
from pytest_llem.results.model import Outcome
from pytest_llem.results.noise import BoardNoise, NoiseFloor, board_key, floor
from pytest_llem.results.planning import MOST_CYCLES, cycles_needed, smallest_change
from pytest_llem.results.rules import Rule, is_energy
from pytest_llem.results.statistics import Changes, Floor, changes, holm, p_values
from pytest_llem.results.tdist import FloatArray

_LARGEST = 700.0  # of what is exponentiated


@dataclass(frozen=True)
class _Pair:
    now: Entry
    before: Entry
    rule: Rule
    margin: float
    values: tuple[tuple[float, ...], tuple[float, ...]]
    alpha: float
    floor: NoiseFloor | None
    notes: tuple[str, ...]

    def logs(self, side: int) -> FloatArray:
        return np.asarray(self.rule.sign * np.log(self.values[side]), dtype=np.float64)


@dataclass
class _Judged:
    """Arrays over the pairs that have as many cycles and one level, in the order of ``rows``."""

    alpha: float
    rows: list[int]
    found: Changes
    p: FloatArray
    test: Test


def compare(
    now: Baseline, before: Baseline | None, gate: Gate, noise: Mapping[str, BoardNoise] | None = None
) -> Report:
    """Judge a run against a baseline, and its variants. ``noise``: what is known of each board, by
    :func:`noise.board_key`.

    Raises ResultError where a rule names a figure that no configuration of the baseline holds."""
    old = {} if before is None else {entry.identity: entry for entry in before.configurations}
    here = {entry.identity: entry for entry in now.configurations}
    matched = [(entry, old[identity]) for identity, entry in here.items() if identity in old]
    matched += [(entry, here[entry.first]) for entry in here.values() if entry.first in here]
    _check_rules(gate.rules, matched)
    done: dict[int, Comparison] = {}
    pairs: dict[int, _Pair] = {}
    for row, (entry, other, rule) in enumerate((a, b, rule) for a, b in matched for rule in gate.rules):
        pair = _prepare(entry, other, rule, gate, noise or {}, variant_notes(entry, other, now.environments))
        if isinstance(pair, Comparison):
            done[row] = pair
        else:
            pairs[row] = pair
    done |= _judge(pairs, gate.others)
    compared = {entry.identity for entry, _ in matched}
    expected = [entry for entry in here.values() if before is not None or "against" in entry.variant]
    return Report(
        comparisons=tuple(done[row] for row in sorted(done)),
        notes=() if before is None else environment_notes(now, before),
        new=tuple(entry.label for entry in expected if entry.identity not in compared),
        gone=tuple(entry.label for identity, entry in old.items() if identity not in here),
    )


def _check_rules(rules: Sequence[Rule], matched: Sequence[tuple[Entry, Entry]]) -> None:
    for rule in rules:
        if matched and not any(before.values(rule.metric) for _, before in matched):
            raise ResultError(
                f"the baseline has no valid figure {rule.metric} for any of these configurations",
                hint="record it again with --llem-save=NAME, or name another figure",
            )


def _prepare(
    now: Entry, before: Entry, rule: Rule, gate: Gate, noise: Mapping[str, BoardNoise], beside: tuple[str, ...]
) -> _Pair | Comparison:
    why = refusal(now, before, rule, gate.other_board)
    refused = why is not None
    values = now.values(rule.metric), before.values(rule.metric)
    board = noise.get(board_key(now.uuids))
    known = floor(board, now, rule.metric) if board else None
    extra, note = widening(now, before, rule.metric, noise)
    said = (*beside, *notes(now, before, rule), *([note] if note and not refused else []))
    if why is None:
        why = _unusable(values, known)
    if why is not None:
        return Comparison(
            label=now.label,
            config_hash=now.config_hash,
            metric=rule.metric,
            verdict="inconclusive",
            tolerance=rule.tolerance,
            reason=why,
            refused=refused,
            cycles_now=len(values[0]),
            cycles_before=len(values[1]),
            other_output=other_output(now, before),
            notes=said,
        )
    alpha = gate.alpha_after(len(now.cells), now.max_cycles)
    return _Pair(now, before, rule, rule.margin + extra, values, alpha, known, said)


def _unusable(values: tuple[tuple[float, ...], ...], known: NoiseFloor | None) -> str | None:
    for found, when in zip(values, ("this run", "the baseline"), strict=True):
        if not found:
            return f"{when} has no valid figure"
        if min(found) <= 0:
            return f"{when} has a figure that is not above zero"
        if len(found) < 2 and known is None:
            return f"{when} has one valid cycle, which says nothing of how cycles differ; two or more are needed"
    return None


def _judge(pairs: Mapping[int, _Pair], others: int) -> dict[int, Comparison]:
    alike: dict[tuple[int, int, float], list[int]] = {}
    for row, pair in pairs.items():
        alike.setdefault((len(pair.values[0]), len(pair.values[1]), pair.alpha), []).append(row)
    tests = len(pairs) + others
    groups = [_judge_alike([pairs[row] for row in rows], rows, tests) for rows in alike.values()]
    if not groups:
        return {}
    p = np.concatenate([group.p for group in groups])
    adjusted = holm(p) if not others else np.minimum(p * tests, 1.0)  # Bonferroni: the others' p are not known here
    compared: dict[int, Comparison] = {}
    for group, share in zip(groups, np.split(adjusted, np.cumsum([len(g.rows) for g in groups])), strict=False):
        compared |= _comparisons(pairs, group, share, tests)
    return compared


def _judge_alike(pairs: Sequence[_Pair], rows: list[int], tests: int) -> _Judged:
    alpha = pairs[0].alpha
    now, before = (np.vstack([pair.logs(side) for pair in pairs]) for side in (0, 1))
    found = changes(now, before, alpha=alpha, floor=_floors([pair.floor for pair in pairs]))
    p, exact = p_values(now, before, found, alpha=alpha / tests)
    return _Judged(alpha, rows, found, p, "permutation" if exact else "welch")


def _floors(known: Sequence[NoiseFloor | None]) -> Floor:
    table = np.array([(f.within, f.within_dof, f.between, f.between_dof) if f else (0, 1, 0, 1) for f in known], float)
    return Floor(*np.maximum(table.T, np.array([[0.0], [1.0], [0.0], [1.0]])))


def _comparisons(pairs: Mapping[int, _Pair], group: _Judged, p: FloatArray, tests: int) -> dict[int, Comparison]:
    found, alpha = group.found, group.alpha
    n, m = (len(side) for side in pairs[group.rows[0]].values)
    margin = np.array([pairs[row].margin for row in group.rows])
    smallest = smallest_change(found.design, n, m, margin, alpha=alpha, tests=tests)
    alone, both = cycles_needed(found.design, m, found.shift, margin, alpha=alpha, tests=tests)
    compared = {}
    for i, row in enumerate(group.rows):
        pair = pairs[row]
        low, high = float(found.low[i]), float(found.high[i])
        beyond = low > pair.margin
        verdict: Outcome = "fail" if beyond and p[i] <= alpha else "pass" if high <= pair.margin else "inconclusive"
        numbers = _Numbers(verdict, beyond, float(found.shift[i]), low, high, float(p[i]), float(smallest[i]))
        compared[row] = _comparison(pair, numbers, group.test, alone[i], both[i], tests)
    return compared


@dataclass(frozen=True)
class _Numbers:
    """One cell's, log scale, for the worse."""

    verdict: Outcome
    beyond: bool
    shift: float
    low: float
    high: float
    p: float
    smallest: float


def _comparison(
    pair: _Pair, numbers: _Numbers, test: Test, alone: int | None, both: int | None, tests: int
) -> Comparison:
    sign = pair.rule.sign
    verdict, reason = numbers.verdict, None
    if verdict == "inconclusive":
        reason = _not_sure(numbers, alone, both, tests)
    elif verdict == "pass" and not pair.now.measured and is_energy(pair.rule.metric):
        verdict, reason = "inconclusive", "an estimate cannot show that nothing got dearer"
    different = other_output(pair.now, pair.before)
    said = list(pair.notes)
    if different:
        cheaper = " cheaper tokens that are" if numbers.high < 0 else ""
        said.append(f"the output is not the baseline's: these are{cheaper} different tokens")
    ends = sorted((_exp(sign * numbers.low), _exp(sign * numbers.high)))
    undecided = verdict == "inconclusive"
    return Comparison(
        label=pair.now.label,
        config_hash=pair.now.config_hash,
        metric=pair.rule.metric,
        verdict=verdict,
        tolerance=_relative(sign, pair.margin),
        reason=reason,
        now=math.exp(sign * float(pair.logs(0).mean())),
        before=math.exp(sign * float(pair.logs(1).mean())),
        cycles_now=len(pair.values[0]),
        cycles_before=len(pair.values[1]),
        ratio=math.exp(sign * numbers.shift),
        interval=(ends[0], ends[1]),
        confidence=1 - 2 * pair.alpha,
        p_value=numbers.p,
        test=test,
        smallest_change=_relative(sign, numbers.smallest),
        cycles_needed=alone if undecided else None,
        cycles_needed_both=both if undecided else None,
        other_output=different,
        notes=tuple(said),
    )


def _exp(log: float) -> float:
    """With few cycles and many comparisons an interval reaches beyond what a float holds."""
    return math.exp(min(log, _LARGEST))


def _relative(sign: int, distance: float) -> float:
    """A distance for the worse as a positive relative change of the figure itself."""
    return sign * math.expm1(min(sign * distance, _LARGEST))


def _not_sure(numbers: _Numbers, alone: int | None, both: int | None, tests: int) -> str:
    if numbers.beyond:
        why = f"beyond the tolerance, but not significant among {tests} comparisons"
    else:
        why = "the interval holds the tolerance"
    if alone is not None:
        return f"{why}; about {alone} cycles would decide"
    if both is not None:
        return f"{why}; about {both} cycles, here and in the baseline, would decide"
    return f"{why}, and {MOST_CYCLES} cycles would not decide"
