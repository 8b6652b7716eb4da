"""The rest of the page in words: comparison with a baseline, what was measured where, notes of the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_llem.energy.validity import REASONS
from pytest_llem.report.html.data import CellRow, PageData
from pytest_llem.report.html.markup import link, links, mark, plural, small_table, text
from pytest_llem.report.units import NONE, number, si
from pytest_llem.report.words import change, remarks
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.model import DeviceEnergy, ExperimentResult

MOST_NAMES = 12  # cells named with a note; the table can be searched for the rest
_VERDICTS = {
    "pass": ("good", "✓", "pass"),
    "fail": ("bad", "✗", "fail"),
    "inconclusive": ("unsure", "?", "inconclusive"),
    "refused": ("idle", "–", "not compared"),
}
_KINDS = {
    "reason": "Reason codes",
    "warning": "Warnings",
    "note": "Notes",
    "missing": "Figures that were not measured, and why",
}
MEANINGS = {
    **REASONS,
    "estimated_energy": "no power meter was used: the energy follows from CPU time and a stated power",
    "gpu_shared": "another process used the device, or memory was left on it",
    "throttled": "the device lowered its clocks because of temperature or power braking",
    "below_physical_floor": "less energy than the memory traffic or the arithmetic needs at idle power",
    "no_windows": "the worker reported no measured window",
}
"""Every reason code of a result, in words."""


def verdict_of(c: Comparison) -> str:
    """``pass``, ``fail``, ``inconclusive`` or ``refused``."""
    return "refused" if c.refused else c.verdict


def comparison(report: Report | None) -> str:
    """All comparisons, in the order in which they were made, and what besides is to be said; empty without any."""
    if report is None:
        return ""
    counts = Counter(verdict_of(c) for c in report.comparisons)
    summary = ", ".join(f"{counts[name]:,} {words}" for name, (_, _, words) in _VERDICTS.items() if counts[name])
    beside = [*report.notes]
    beside += [f"only in this run: {', '.join(report.new)}"] if report.new else []
    beside += [f"only in the baseline: {', '.join(report.gone)}"] if report.gone else []
    items = "".join(f"<li>{text(note)}</li>" for note in beside)
    head = ("experiment", "metric", "change (95 % interval)", "allowed", "verdict")
    table = small_table(head, [_compared(c) for c in report.comparisons])
    return f'<p>{summary or "Nothing was compared"}.</p>{table}<ul class="notes">{items}</ul>'


def _compared(c: Comparison) -> list[str]:
    said = [*remarks(c), *(["other tokens than the baseline's"] if c.other_output else [])]
    verdict = f"{mark(*_VERDICTS[verdict_of(c)])} {text('; '.join(said))}"
    return [text(c.label), f"<code>{text(c.metric)}</code>", change(c), f"{100 * c.tolerance:.3g} %", verdict]


def where(data: PageData, base: str) -> str:
    """Devices, runners, meters, versions, the environment file."""
    head = ("device", "UUID", "driver", "cells", "idle power", "power limit", "hottest", "throttle reasons")
    ways = Counter(_way(cell.result) for cell in data.cells if cell.result is not None)
    how = [[*map(text, way), f"{count:,}"] for way, count in ways.most_common()]
    facts = small_table(("key", "value"), [[f"<code>{text(key)}</code>", text(said)] for key, said in data.environment])
    title = f"Environment ({len(data.environment)} entries)"
    environment = f"<details><summary>{title}</summary>{facts}</details>" if facts else ""
    return (
        small_table(head, devices(data.cells))
        + small_table(("runner", "image", "energy source", "method", "cells"), how)
        + environment
        + f"<p>Files of the run: {links(data.files, base)}</p>"
    )


def devices(cells: Sequence[CellRow]) -> list[list[str]]:
    """A line for each device: what it is, and what it did in this run; the driver as its traces say."""
    used: dict[str, list[DeviceEnergy]] = {}
    drivers: dict[str, str] = {}
    for cell in cells:
        for device in cell.result.devices if cell.result is not None else ():
            used.setdefault(device.uuid, []).append(device)
            if cell.power is not None and cell.power.driver:
                drivers.setdefault(device.uuid, cell.power.driver)
    lines = []
    for uuid, uses in used.items():
        hottest = max((t for use in uses if (t := use.max_temperature_c) is not None), default=None)
        throttled = dict.fromkeys(reason for use in uses for reason in use.throttle_reasons)
        lines.append(
            [
                text(uses[-1].name),
                f"<code>{text(uuid)}</code>",
                text(drivers.get(uuid, NONE)),
                f"{len(uses):,}",
                si(uses[-1].idle_power_w, "W"),
                si(uses[-1].power_limit_w, "W"),
                NONE if hottest is None else f"{number(hottest, 2)} °C",
                text(", ".join(throttled) or "none seen"),
            ]
        )
    return lines


def _way(result: ExperimentResult) -> tuple[str, str, str, str]:
    source = result.energy_source if result.measured else f"{result.energy_source} (ESTIMATED)"
    return result.runner.get("runner", NONE), result.runner.get("image", NONE), source, result.method


def notes(cells: Sequence[CellRow], base: str) -> str:
    """What results say about themselves, with the cells that say it; first what makes most of them invalid."""
    said: dict[str, dict[str, list[CellRow]]] = {kind: {} for kind in _KINDS}
    for cell in cells:
        if cell.result is None:
            continue
        validity = cell.result.validity
        missing = [f"{name}: {why}" for name, why in validity.missing.items()]
        for kind, texts in zip(_KINDS, (validity.reasons, cell.result.warnings, validity.notes, missing), strict=True):
            for one in texts:
                said[kind].setdefault(one, []).append(cell)
    parts = []
    for kind, found in said.items():
        ranked = sorted(found.items(), key=lambda pair: (-sum(cell.invalid for cell in pair[1]), -len(pair[1])))
        items = "".join(_note(one, who, base, is_reason=kind == "reason") for one, who in ranked)
        parts += [f'<h3>{_KINDS[kind]}</h3><ul class="notes">{items}</ul>'] if items else []
    return "".join(parts) or "<p>No result has anything to say against itself.</p>"


def _note(said: str, who: Sequence[CellRow], base: str, *, is_reason: bool) -> str:
    label, flag = text(said), ""
    if is_reason:
        label = f"<code>{label}</code>" + (f": {text(MEANINGS[said])}" if said in MEANINGS else "")
        invalid = sum(cell.invalid for cell in who)
        if said == "estimated_energy":
            flag = "ESTIMATED"
        elif invalid:
            flag = "INVALID" if invalid == len(who) else f"{invalid:,} INVALID"
    badge = f' <span class="badge flag">{flag}</span>' if flag else ""
    named = [link(cell.entry.result or "", cell.entry.cell_id, base) for cell in who[:MOST_NAMES]]
    more = f" and {len(who) - MOST_NAMES:,} more" if len(who) > MOST_NAMES else ""
    count = plural(len(who), "cell")
    return f"<li>{label}{badge}<details><summary>{count}</summary>{', '.join(named)}{more}</details></li>"
