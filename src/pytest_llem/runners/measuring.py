"""The energy of any code in this process: recorded from outside, evaluated when the code has ended."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.meter import Device, Meter
from pytest_llem.energy.recorder import Recorder
from pytest_llem.energy.rhythm import REACH_S, share_rhythm
from pytest_llem.energy.trace import Mark, Trace
from pytest_llem.processes import temporary_prefix
from pytest_llem.results.model import Interval
from pytest_llem.runners.assemble import add
from pytest_llem.runners.devices import DevicePlan
from pytest_llem.runners.locks import hold

LEAD_S = 1.0  # ten steps of an H200's counter; eight tell its grid well enough for a block of ten seconds
_earlier: deque[Trace] = deque(maxlen=32)  # of blocks in this process: their counters keep the grid


@dataclass
class Measurement:
    """What a block of code took; all figures are None until it has ended, and where they could not be measured."""

    energy_j: float | None = None
    energy_j_ci95: Interval | None = None
    duration_s: float | None = None
    mean_power_w: float | None = None
    energy_source: str = ""
    measured: bool = False  # False: an estimate
    valid: bool = False
    reasons: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = field(default=(), repr=False)  # long, and no answer to print


@contextlib.contextmanager
def measure(plan: DevicePlan, names: Sequence[str], lock_dir: Path, label: str = "block") -> Iterator[Measurement]:
    """Measure the body of a ``with`` block; yields a Measurement that is filled in when the block ends.

    The devices of the locks ``names`` are locked, idle time is recorded on both sides, and CUDA is synchronised at the
    edges where torch has been used. If the block raises, nothing is filled in."""
    found = Measurement(energy_source=plan.meter.source, measured=plan.meter.measured)
    with (
        hold(names, len(names), lock_dir) as (locks, _),
        tempfile.TemporaryDirectory(prefix=temporary_prefix()) as samples,
        Recorder(plan.meter_name, devices := plan.devices_for(locks), Path(samples), pid=os.getpid()) as recorder,
    ):
        recorder.pace("dense")
        time.sleep(_lead_s(plan.meter, devices))
        _synchronize()
        recorder.pace("quiet")
        start = time.monotonic()
        yield found
        _synchronize()
        end = time.monotonic()
        recorder.pace("dense")
        time.sleep(plan.meter.bracket_s)
        recording = recorder.stop()
    uuids = [device.uuid for device in recording.devices]
    traces = [recording.trace(it, f"{label}/{it}", start, end, [Mark(label, 1, end)]) for it in uuids]
    found.traces = tuple(traces)
    if plan.meter.reads_disturb:
        found.traces = share_rhythm((*_earlier, *traces))[-len(traces) :]
        _earlier.extend(found.traces)
    energies = [estimate(trace, recording.meter.method) for trace in found.traces]
    found.duration_s = end - start
    found.reasons = tuple(dict.fromkeys(code for energy in energies for code in energy.reasons))
    found.valid = all(energy.valid for energy in energies)
    if total := add((energy.energy_j, energy.ci95) for energy in energies):
        found.energy_j, found.energy_j_ci95 = total
        found.mean_power_w = total[0] / (end - start)


def _lead_s(meter: Meter, devices: Sequence[Device]) -> float:
    """Idle time before the block (s): long enough to see the counter's grid where no block before it has shown it."""
    if not meter.reads_disturb:
        return meter.bracket_s
    since = time.monotonic() - REACH_S
    shown = {trace.extra["uuid"] for trace in _earlier if trace.t1 > since}
    return meter.bracket_s if shown.issuperset(device.uuid for device in devices) else max(LEAD_S, meter.bracket_s)


def _synchronize() -> None:
    """Wait for CUDA, but only where this process has used it: asking torch must not create a context."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
