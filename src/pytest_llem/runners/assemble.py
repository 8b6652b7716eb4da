"""Marks ⊗ trace → result: the pure part of an experiment, from what the worker and the recorder wrote down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llem.energy.estimators import Figure, TraceEnergy, combine, estimate
from pytest_llem.energy.idle import Finding
from pytest_llem.energy.recording import Recording
from pytest_llem.energy.trace import Mark, Trace
from pytest_llem.results.model import Interval, Window, Work
from pytest_llem.runners.job import WorkerResult, WorkerWindow

Amount = tuple[float, Interval]  # an energy, J, and its 95 % interval


@dataclass(frozen=True)
class Observed:
    """What an experiment left behind."""

    worker: WorkerResult
    recording: Recording
    beside: Recording | None  # of a second meter, for the CPU's energy beside the GPU's
    margin_s: float  # idle time that surely lies on each side of every window, s
    idle: tuple[float, float] | None  # when the devices were watched without the worker, CLOCK_MONOTONIC s
    findings: tuple[Finding, ...] = ()  # what was wrong with the devices before the experiment, or came during it


@dataclass(frozen=True)
class Measured:
    """All windows of one experiment on all its devices, evaluated."""

    traces: tuple[Trace, ...]
    energies: tuple[tuple[TraceEnergy, ...], ...]  # [window][device]
    windows: tuple[Window, ...]
    figure: Figure | None  # per output token; None where a window has no energy
    phases: dict[str, Amount]  # label -> energy over all windows and devices

    @property
    def flat(self) -> tuple[TraceEnergy, ...]:
        """Every evaluated trace."""
        return tuple(energy for row in self.energies for energy in row)


def evaluate(seen: Observed) -> Measured:
    """Estimate the energy of every window on every device, with the estimator that fits the meter."""
    recording = seen.recording
    traces = [
        [_trace(seen, device.uuid, number, window) for device in recording.devices]
        for number, window in enumerate(seen.worker.windows, 1)
    ]
    energies = [tuple(estimate(trace, recording.meter.method) for trace in row) for row in traces]
    windows = tuple(_window(window, row) for window, row in zip(seen.worker.windows, energies, strict=True))
    flat = tuple(trace for row in traces for trace in row)
    return Measured(flat, tuple(energies), windows, _figure(windows), _phases(energies))


def _trace(seen: Observed, uuid: str, number: int, window: WorkerWindow) -> Trace:
    marks = [Mark(*mark) for mark in window.marks]
    return seen.recording.trace(uuid, f"repeat-{number}/{uuid}", window.start, window.end, marks, seen.margin_s)


def _window(window: WorkerWindow, row: Sequence[TraceEnergy]) -> Window:
    energy, ends = add((one.energy_j, one.ci95) for one in row) or (None, None)
    return Window(**window.model_dump(include=set(Work.model_fields)), energy_j=energy, energy_j_ci95=ends)


def _figure(windows: Sequence[Window]) -> Figure | None:
    parts = [
        (w.energy_j, w.energy_j_ci95, float(w.output_tokens))
        for w in windows
        if w.energy_j is not None and w.energy_j_ci95 is not None and w.output_tokens > 0
    ]
    return combine(parts) if parts and len(parts) == len(windows) else None


def _phases(energies: Iterable[Sequence[TraceEnergy]]) -> dict[str, Amount]:
    """A label with a part that is unknown is left out."""
    flat = [energy for row in energies for energy in row]
    unknown = {part.label for energy in flat for part in energy.windows if part.energy_j is None}
    labels = dict.fromkeys(label for energy in flat for label in energy.labels if label not in unknown)
    sums = {label: add(energy.labels[label] for energy in flat if label in energy.labels) for label in labels}
    return {label: total for label, total in sums.items() if total is not None}


def add(parts: Iterable[tuple[float | None, Interval | None]]) -> Amount | None:
    """Sum of independent energies, half-widths added in quadrature; None if any part is unknown."""
    total, below, above = 0.0, 0.0, 0.0
    for energy, ends in parts:
        if energy is None or ends is None:
            return None
        total += energy
        below += (energy - ends[0]) ** 2
        above += (ends[1] - energy) ** 2
    return total, (max(0.0, total - math.sqrt(below)), total + math.sqrt(above))
