"""Marks ⊗ trace → result: the pure part of an experiment, from what the worker and the recorder wrote down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_llem.energy.estimators import Figure, TraceEnergy, combine, estimate
from pytest_llem.energy.recording import Recording
from pytest_llem.energy.trace import Mark, Trace
from pytest_llem.results.model import Interval, Window
from pytest_llem.runners.worker_result import WorkerResult, WorkerWindow


@dataclass(frozen=True)
class Measured:
    """All windows of one experiment on all its devices, evaluated."""

    traces: tuple[Trace, ...]
    energies: tuple[tuple[TraceEnergy, ...], ...]  # [window][device]
    windows: tuple[Window, ...]
    figure: Figure | None  # per output token; None where a window has no energy
    phases: dict[str, tuple[float, Interval]] = field(default_factory=dict)  # label -> energy over all windows

    @property
    def flat(self) -> tuple[TraceEnergy, ...]:
        """Every evaluated trace."""
        return tuple(energy for row in self.energies for energy in row)

    def reasons(self) -> tuple[str, ...]:
        """Reason codes of all windows, each once, in order."""
        return tuple(dict.fromkeys(code for energy in self.flat for code in energy.reasons))

    def notes(self) -> tuple[str, ...]:
        """Notes of all windows, each once."""
        return tuple(dict.fromkeys(note for energy in self.flat for note in energy.notes))

    @property
    def valid(self) -> bool:
        """No fatal reason anywhere."""
        return bool(self.flat) and all(energy.valid for energy in self.flat)


def evaluate(worker: WorkerResult, recording: Recording, margin_s: float) -> Measured:
    """Estimate the energy of every window on every device, with the estimator that fits the meter.

    ``margin_s``: idle time, s, that surely lies on each side of every window."""
    traces: list[Trace] = []
    energies: list[tuple[TraceEnergy, ...]] = []
    for number, window in enumerate(worker.windows, 1):
        row = [_trace(recording, device.uuid, number, window, margin_s) for device in recording.devices]
        traces += row
        energies.append(tuple(estimate(trace, recording.meter.method) for trace in row))
    windows = tuple(_window(w, row) for w, row in zip(worker.windows, energies, strict=True))
    return Measured(tuple(traces), tuple(energies), windows, _figure(windows), _phases(energies))


def _trace(recording: Recording, uuid: str, number: int, window: WorkerWindow, margin_s: float) -> Trace:
    marks = [Mark(*mark) for mark in window.marks]
    return recording.trace(uuid, f"repeat-{number}/{uuid}", window.start, window.end, marks, margin_s)


def _window(window: WorkerWindow, row: Sequence[TraceEnergy]) -> Window:
    total = add((energy.energy_j, energy.ci95) for energy in row)
    return Window(
        start=window.start,
        end=window.end,
        passes=window.passes,
        requests=window.requests,
        input_tokens=window.input_tokens,
        output_tokens=window.output_tokens,
        energy_j=None if total is None else total[0],
        energy_j_ci95=None if total is None else total[1],
    )


def _figure(windows: Sequence[Window]) -> Figure | None:
    parts = [
        (w.energy_j, w.energy_j_ci95, float(w.output_tokens))
        for w in windows
        if w.energy_j is not None and w.energy_j_ci95 is not None and w.output_tokens > 0
    ]
    return combine(parts) if parts and len(parts) == len(windows) else None


def _phases(energies: Iterable[Sequence[TraceEnergy]]) -> dict[str, tuple[float, Interval]]:
    """Energy of each label over all windows and devices; a label with a part that is unknown is left out."""
    flat = [energy for row in energies for energy in row]
    unknown = {part.label for energy in flat for part in energy.windows if part.energy_j is None}
    labels: dict[str, list[tuple[float, Interval]]] = {}
    for energy in flat:
        for label, figure in energy.labels.items():
            labels.setdefault(label, []).append(figure)
    sums = {label: add(parts) for label, parts in labels.items() if label not in unknown}
    return {label: total for label, total in sums.items() if total is not None}


def add(parts: Iterable[tuple[float | None, Interval | None]]) -> tuple[float, Interval] | None:
    """Sum of independent energies, half-widths added in quadrature; None if any part is unknown."""
    total, below, above = 0.0, 0.0, 0.0
    for energy, ends in parts:
        if energy is None or ends is None:
            return None
        total += energy
        below += (energy - ends[0]) ** 2
        above += (ends[1] - energy) ** 2
    return total, (max(0.0, total - math.sqrt(below)), total + math.sqrt(above))
