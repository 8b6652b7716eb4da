"""What differs between then and now besides the figures: what is only worth saying, and what forbids a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pytest_llem.results.baseline import Baseline, Entry
from pytest_llem.results.noise import BoardNoise, board_difference, board_key
from pytest_llem.results.rules import Rule, is_energy

OtherBoard = Literal["widen", "refuse"]

BOARD_SPREAD = 0.15
"""How far two boards of one model may lie apart where nobody has measured these two. Over five clusters of equal GPUs
it is 8 % on average (Sinha et al., Not All GPUs Are Created Equal, SC 2022); of six H200 three lay 14 % higher.
"""

WINDOW_SPREAD = 0.1
SURGE_S = 0.024
SURGE_SPREAD = 0.005
"""Windows count as equally long within a tenth, or where the surge at their begin makes no difference above half a
percent. A load at its power limit costs 10 % more in 0.15 s than in a long window, and 2 % more in 1.2 s (H200): its
surge is worth up to 24 ms of its power. So a gate on windows of seconds finds a load that became a fifth slower."""


def refusal(now: Entry, before: Entry, rule: Rule, other_board: OtherBoard) -> str | None:
    """Why these two must not be compared; None when they may."""
    if now.models != before.models:
        return f"another GPU model: the baseline is from {_listed(before.models)}, this is {_listed(now.models)}"
    if None not in (now.devices, before.devices) and now.devices != before.devices:
        return f"another number of GPUs: {before.devices} in the baseline, {now.devices} now"
    if other_board == "refuse" and now.uuids != before.uuids:
        return f"another board of the same model ({_listed(now.uuids)} instead of {_listed(before.uuids)})"
    if is_energy(rule.metric):
        if now.measured != before.measured:
            return "one side is measured, the other is an estimate"
        if (now.energy_source, now.method) != (before.energy_source, before.method):
            return (
                f"energy was found in another way: {before.energy_source} ({before.method}) in the baseline, "
                f"{now.energy_source} ({now.method}) now"
            )
    if (now.power_limited or before.power_limited) and not _equally_long(now.window_s, before.window_s):
        return (
            "the load is at its power limit, where windows of different lengths differ by themselves: "
            f"{_seconds(before.window_s)} in the baseline, {_seconds(now.window_s)} now"
        )
    return None


def _equally_long(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return False
    return abs(math.log(a / b)) <= math.log1p(WINDOW_SPREAD) or SURGE_S * abs(1 / a - 1 / b) <= SURGE_SPREAD


def _seconds(length: float | None) -> str:
    return "of unknown length" if length is None else f"{length:.2g} s"


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "no GPU"


def widening(now: Entry, before: Entry, metric: str, noise: Mapping[str, BoardNoise]) -> tuple[float, str | None]:
    """How much further the margin reaches (log scale) because the boards are not the same, with a note that says so."""
    if now.uuids == before.uuids:
        return 0.0, None
    known = [noise.get(board_key(entry.uuids)) for entry in (now, before)]
    measured = board_difference(known[0], known[1], metric) if known[0] and known[1] else None
    extra = math.log1p(BOARD_SPREAD) if measured is None else measured
    how = "not measured: taken as" if measured is None else "measured as"
    return extra, f"another board of the same model; their difference is {how} {100 * math.expm1(extra):.1f} %"


def notes(now: Entry, before: Entry, rule: Rule) -> tuple[str, ...]:
    """What a reader of this comparison should know."""
    found = []
    for entry, when in ((before, "the baseline"), (now, "this run")):
        left_out = [why for why in entry.invalid if why is not None]
        if left_out:
            codes = "; ".join(sorted(set(left_out)))
            found.append(f"{len(left_out)} of {len(entry.cells)} cycles of {when} are invalid and left out ({codes})")
    if now.prompt_hashes != before.prompt_hashes:
        found.append("the prompts are not the same as in the baseline")
    if len(set(before.output_hashes)) > 1 or len(set(now.output_hashes)) > 1:
        found.append("the output varies from cycle to cycle, so it cannot be told whether the same work was done")
    if not now.measured and is_energy(rule.metric):
        found.append(f"ESTIMATED ({now.energy_source})")
    return tuple(found)


def other_output(now: Entry, before: Entry) -> bool:
    """Both generate the same in every cycle, and it is not the same on both sides."""
    a, b = set(now.output_hashes), set(before.output_hashes)
    return len(a) == len(b) == 1 and a != b


def environment_notes(now: Baseline, before: Baseline) -> tuple[str, ...]:
    """Which facts of the environment changed: ``torch 2.12.0 -> 2.13.0``."""
    changed = _changed(_facts(before), _facts(now))
    if not changed and set(now.environments) != set(before.environments):
        return ("the environment differs in something that the baseline does not name",)
    return changed


def variant_notes(now: Entry, before: Entry, environments: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Which variant this one is compared with, and in what the two differ; nothing for a baseline of another run."""
    if now.first != before.identity:
        return ()
    own = ("name", "against", "commit")
    old, new = (
        {
            **environments.get(entry.environment_hash, {}),
            **{f"variant's {k}": v for k, v in entry.variant.items() if k not in own},
        }
        for entry in (before, now)
    )
    return (": ".join([f"against {before.label}", *filter(None, ["; ".join(_changed(old, new))])]),)


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _facts(baseline: Baseline) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for facts in baseline.environments.values():
        for name, value in facts.items():
            found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in found.items()}
