"""The rest of the page in words: comparison with a baseline, what was measured where, notes of the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_llem.report.html.data import CellRow, Note, PageData
from pytest_llem.report.html.markup import link, links, number, plural, small_table, text
from pytest_llem.report.units import si
from pytest_llem.results.comparison import Comparison, Report

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


def percent(ratio: float) -> str:
    """``+3.1 %`` for 1.031."""
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "−")


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
    head = ("experiment", "metric", "change", "interval", "allowed", "verdict")
    table = small_table(head, [_compared(c) for c in report.comparisons])
    return f'<p>{summary or "Nothing was compared"}.</p>{table}<ul class="notes">{items}</ul>'


def _compared(c: Comparison) -> list[str]:
    style, sign, words = _VERDICTS[verdict_of(c)]
    said = [*filter(None, [c.reason]), *c.notes, *(["other tokens than the baseline's"] if c.other_output else [])]
    return [
        text(c.label),
        f"<code>{text(c.metric)}</code>",
        "–" if c.ratio is None else percent(c.ratio),
        "–" if c.interval is None else f"{percent(c.interval[0])} … {percent(c.interval[1])}",
        f"{100 * c.tolerance:.3g} %",
        f'<span class="badge {style}"><span aria-hidden="true">{sign}</span> {words}</span> {text("; ".join(said))}',
    ]


def where(data: PageData, base: str) -> str:
    """Devices, runners, meters, versions, the environment file."""
    devices = [
        [
            text(device.name),
            f"<code>{text(device.uuid)}</code>",
            text(device.driver or "–"),
            f"{device.cells:,}",
            si(device.idle_power_w, "W"),
            si(device.power_limit_w, "W"),
            f"{number(device.max_temperature_c, 2)} °C" if device.max_temperature_c is not None else "–",
            text(", ".join(device.throttle_reasons) or "none seen"),
        ]
        for device in data.devices
    ]
    head = ("device", "UUID", "driver", "cells", "idle power", "power limit", "hottest", "throttle reasons")
    ways = Counter(way for cell in data.cells if (way := _way(cell)) is not None)
    how = [[*(text(part) for part in way), f"{count:,}"] for way, count in ways.most_common()]
    facts = [[f"<code>{text(key)}</code>", text(value)] for key, value in data.environment]
    environment = ""
    if facts:
        inside = small_table(("key", "value"), facts)
        environment = f"<details><summary>Environment ({len(facts)} entries)</summary>{inside}</details>"
    files = f"<p>Files of the run: {links(data.files, base)}</p>"
    return (
        small_table(head, devices)
        + small_table(("runner", "image", "energy source", "method", "cells"), how)
        + environment
        + files
    )


def _way(cell: CellRow) -> tuple[str, str, str, str] | None:
    result = cell.result
    if result is None:
        return None
    source = result.energy_source if result.measured else f"{result.energy_source} (ESTIMATED)"
    return result.runner.get("runner", "–"), result.runner.get("image", "–"), source, result.method


def notes(found: Sequence[Note], cells: Sequence[CellRow], base: str) -> str:
    """Each thing that results say about themselves, with the cells that say it."""
    if not found:
        return "<p>No result has anything to say against itself.</p>"
    paths = {cell.entry.cell_id: cell.entry.result for cell in cells}
    parts = []
    for kind, title in _KINDS.items():
        mine = [note for note in found if note.kind == kind]
        if mine:
            items = "".join(_note(note, paths, base) for note in mine)
            parts.append(f'<h3>{title}</h3><ul class="notes">{items}</ul>')
    return "".join(parts)


def _note(note: Note, paths: dict[str, str | None], base: str) -> str:
    named = [
        link(path, cell_id, base) if (path := paths.get(cell_id)) else text(cell_id)
        for cell_id in note.cell_ids[:MOST_NAMES]
    ]
    more = len(note.cell_ids) - MOST_NAMES
    names = ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
    label = f"<code>{text(note.text)}</code>: {text(note.meaning)}" if note.meaning else text(note.text)
    flag = ""
    if note.text == "estimated_energy":
        flag = ' <span class="badge flag">ESTIMATED</span>'
    elif note.kind == "reason" and note.invalid:
        which = "INVALID" if note.invalid == len(note.cell_ids) else f"{note.invalid:,} INVALID"
        flag = f' <span class="badge flag">{which}</span>'
    count = plural(len(note.cell_ids), "cell")
    return f"<li>{label}{flag}<details><summary>{count}</summary>{names}</details></li>"
