"""Which meter measures: by name, or the best one that works on this machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from pytest_llem.energy.meter import Meter
from pytest_llem.errors import LlemError, MeterError

GROUP = "pytest_llem.meters"
BUILT_IN = {
    "nvml": "pytest_llem.energy.meters.nvml:NvmlMeter",
    "rapl": "pytest_llem.energy.meters.rapl:RaplMeter",
    "zeus": "pytest_llem.energy.meters.zeus:ZeusMeter",
    "codecarbon": "pytest_llem.energy.meters.codecarbon:CodeCarbonMeter",
    "cpu-estimate": "pytest_llem.energy.meters.cpu_estimate:CpuEstimateMeter",
}
AUTOMATIC = ("nvml", "rapl", "cpu-estimate")  # best first; NVML itself prefers its counter to its power


@dataclass(frozen=True)
class Choice:
    """The meter that will measure, and why each better one was passed over: (name, reason)."""

    meter: Meter
    passed_over: tuple[tuple[str, str], ...] = ()


def choose_meter(name: str = "auto", *, gpu: bool = True) -> Choice:
    """The meter called ``name``, tried out: it has at least one device. Raises MeterError with what to do.

    ``auto`` takes NVML's counter, else NVML's power, else RAPL, else the estimate. With ``gpu=False`` (the workload
    runs on the CPU, or CUDA_VISIBLE_DEVICES is empty) NVML is passed over: an idle GPU's energy says nothing about it.
    """
    if name != "auto":
        meter = make_meter(name)
        meter.devices()
        return Choice(meter)
    passed_over: list[tuple[str, str]] = []
    for candidate in AUTOMATIC:
        if candidate == "nvml" and not gpu:
            passed_over.append((candidate, "the workload uses no GPU"))
            continue
        try:
            meter = make_meter(candidate)
            meter.devices()
        except MeterError as error:
            passed_over.append((candidate, error.message))
        else:
            return Choice(meter, tuple(passed_over))
    raise MeterError(
        "no way to measure or estimate energy on this machine: "
        + "; ".join(f"{candidate}: {reason}" for candidate, reason in passed_over)
    )


def require_known(name: str) -> None:
    """Raise MeterError for a name that no meter has; imports none."""
    if name != "auto" and not name.startswith("replay:"):
        _target(name)


def make_meter(name: str) -> Meter:
    """The meter called ``name``, not tried out. ``replay:FILE`` plays a recorded trace."""
    if name.startswith("replay:"):
        from pytest_llem.energy.meters.replay import ReplayMeter

        return ReplayMeter(name.removeprefix("replay:"))
    target = _target(name)
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
        meter: Meter = factory()
    except LlemError:
        raise
    except Exception as error:  # a third party's code may fail in any way
        raise MeterError(f"meter {name!r} ({target}) cannot be made: {type(error).__name__}: {error}") from error
    return meter


def _target(name: str) -> str:
    """Where the meter's class is: ``module:attribute``."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    found = {point.name: point.value for point in entry_points(group=GROUP)}
    if name not in found:
        names = ", ".join(["auto", *dict.fromkeys([*BUILT_IN, *found]), "replay:FILE"])
        raise MeterError(f"no meter is called {name!r}", hint=f"one of: {names}")
    return found[name]
