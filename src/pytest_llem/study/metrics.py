"""The figures that a budget can limit, their units, and how a limit with a unit is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MappingProxyType

from pytest_llem.errors import ValueRefused
from pytest_llem.study.wording import did_you_mean, listed, shown


@dataclass(frozen=True)
class Metric:
    """``unit`` is SI (empty for a pure number); a latency is a distribution, so a statistic of it is judged."""

    unit: str
    what: str
    statistics: bool = False


STATISTICS = ("mean", "median", "p50", "p90", "p95", "p99")
METRICS = MappingProxyType(
    {
        "energy_j": Metric("J", "energy of the measured windows, GPU, gross"),
        "energy_per_output_token_j": Metric("J", "energy for each generated token"),
        "energy_per_total_token_j": Metric("J", "energy for each token, read or generated"),
        "energy_per_request_j": Metric("J", "energy for each request"),
        "energy_above_idle_j": Metric("J", "energy less what the idle device without a context would have used"),
        "mean_power_w": Metric("W", "energy over duration"),
        "idle_power_w": Metric("W", "power before anything was loaded"),
        "loaded_idle_power_w": Metric("W", "power with the model loaded and nothing running"),
        "cpu_energy_j": Metric("J", "energy of the CPU in the measured windows"),
        "prefill_energy_j": Metric("J", "energy until the first token"),
        "decode_energy_j": Metric("J", "energy after the first token"),
        "duration_s": Metric("s", "length of the measured windows"),
        "output_tokens_per_s": Metric("1/s", "generated tokens in a second"),
        "requests_per_s": Metric("1/s", "requests in a second"),
        "ttft_s": Metric("s", "time to the first token", statistics=True),
        "tpot_s": Metric("s", "time for each output token after the first", statistics=True),
        "itl_s": Metric("s", "time between two tokens", statistics=True),
        "e2el_s": Metric("s", "time from a request to its last token", statistics=True),
        "peak_memory_bytes": Metric("B", "largest amount of memory in use"),
        "model_memory_bytes": Metric("B", "memory of the loaded model"),
        "mfu": Metric("", "model FLOPs utilisation, 0 to 1"),
        "energy_optimality": Metric("", "physical bound over measured energy, 0 to 1"),
        "output_tokens": Metric("", "tokens generated"),
        "input_tokens": Metric("", "tokens read"),
    }
)
METRIC_NAMES = [
    *METRICS,
    *(f"{name}.{statistic}" for name, metric in METRICS.items() if metric.statistics for statistic in STATISTICS),
]

_POWERS_OF_TEN = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS: dict[str, dict[str, float]] = {
    "J": {f"{prefix}J": factor for prefix, factor in _POWERS_OF_TEN.items()} | {"Wh": 3600.0, "kWh": 3.6e6},
    "W": {f"{prefix}W": factor for prefix, factor in _POWERS_OF_TEN.items()},
    "s": {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "B": {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
    | {f"{prefix}iB": 1024.0**power for power, prefix in enumerate("KMGT", start=1)},
    "1/s": {"1/s": 1.0, "/s": 1.0, "tokens/s": 1.0, "requests/s": 1.0},
    "": {"%": 0.01},
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*((?:1/)?[^\d\s.]\S*)?\s*")


def metric_named(name: str) -> Metric:
    """The metric called ``name``, which may end in a statistic (``ttft_s.p95``). Raises ``ValueRefused``."""
    bare, _, statistic = name.partition(".")
    metric = METRICS.get(bare)
    if metric is None:
        hint = did_you_mean(name, list(METRICS), otherwise=f"the metrics are {', '.join(METRICS)}")
        raise ValueRefused(f"{shown(name)} is not a metric", hint=hint)
    if statistic and not metric.statistics:
        raise ValueRefused(f"{bare} is one number and has no {statistic[:40]}", hint=f"write {bare}")
    if statistic and statistic not in STATISTICS:
        hint = did_you_mean(statistic, STATISTICS, otherwise=f"it has {listed(STATISTICS, 'and')}")
        raise ValueRefused(f"{bare} has no statistic {shown(statistic)}", hint=hint)
    return metric


def quantity(text: str, unit: str) -> float:
    """The number in ``text``, with or without a unit of the same kind, in ``unit``. Raises ``ValueRefused``.

    >>> quantity("2 GiB", "B")
    2147483648.0
    """
    match = _QUANTITY.fullmatch(text)
    known = _UNITS[unit]
    if match is None:
        example = "mJ" if unit == "J" else next(iter(known))
        raise ValueRefused(
            f"{shown(text)} is not a number with a unit", hint=f"write a number such as 0.5, or 0.5 {example}"
        )
    number, given = float(match[1]), match[2]
    if given is not None and given not in known:
        hint = did_you_mean(given, list(known), otherwise=f"the units here are {', '.join(known)}")
        raise ValueRefused(f"{shown(given)} is not a unit of this metric", hint=hint)
    value = number if given is None else number * known[given]
    if not math.isfinite(value):
        raise ValueRefused(f"{shown(text)} is not a finite number")
    return value
