"""The result of one experiment, as it is written to ``result.json``.

Figures are SI base units, never rounded. ``None`` means not measured; ``validity.missing`` then says why. Schema
version 1; fields are only ever added within a version.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

SCHEMA_VERSION = 1

Interval = tuple[float, float]
Outcome = Literal["pass", "fail", "inconclusive"]


class Record(BaseModel):
    """Frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class DeviceEnergy(Record):
    """What one device did during the measured windows, all of them together."""

    uuid: str
    name: str
    energy_j: float | None
    energy_j_ci95: Interval | None = None
    mean_power_w: float | None = None
    idle_power_w: float | None = None
    loaded_idle_power_w: float | None = None
    power_limit_w: float | None = None
    max_temperature_c: float | None = None
    mean_sm_clock_hz: float | None = None
    throttle_reasons: tuple[str, ...] = ()


class CrossCheck(Record):
    """The energy by a second source, and how far it lies from the first: (second - first) / first."""

    source: str
    relative_difference: float


class Work(Record):
    """What a synchronised stretch of whole passes through the workload did. Times: CLOCK_MONOTONIC seconds."""

    start: float
    end: float
    passes: int
    requests: int
    input_tokens: int
    output_tokens: int


class Window(Work):
    """One repeat: its work and its energy."""

    energy_j: float | None
    energy_j_ci95: Interval | None = None


class Spread(Record):
    """Statistics over all requests of all windows (``itl_s``: over all gaps between tokens). Seconds."""

    mean: float
    median: float
    p50: float
    p90: float
    p95: float
    p99: float
    n: int


class Warmup(Record):
    """How the warm-up went. ``cv``: coefficient of variation of the last three passes."""

    n: int
    converged: bool
    cv: float | None
    seconds: float


class Validity(Record):
    """``valid`` is False when a reason is fatal. ``missing`` says for each null figure why it is null."""

    valid: bool
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: dict[str, str] = Field(default_factory=dict)


class Verdict(Record):
    """One budget, judged. ``interval`` is None where the figure has none."""

    metric: str
    min: float | None = None
    max: float | None = None
    value: float | None
    interval: Interval | None = None
    outcome: Outcome
    reason: str | None = None


class RecorderCost(Record):
    """What measuring cost: the recorder's CPU time over the time it ran (1.0 = one core)."""

    cpu_share: float
    counter_reads: int
    power_reads: int
    counter_read_s: float | None = None  # median cost of one counter read


class ExperimentResult(Record):
    """All that is known of one experiment."""

    # identity
    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    tool_version: str
    run_id: str
    study: str
    cell_id: str
    config_hash: str
    environment_hash: str
    cycle: int
    started_at: str  # ISO 8601, UTC
    finished_at: str
    config: dict[str, JsonValue]
    runner: dict[str, str]  # runner, image, decided_by
    variant: dict[str, str] = Field(default_factory=dict)  # of a study with two: name, against, what it is
    # energy
    energy_j: float | None
    energy_j_ci95: Interval | None = None
    energy_per_output_token_j: float | None = None
    energy_per_output_token_j_ci95: Interval | None = None
    energy_per_total_token_j: float | None = None
    energy_per_total_token_j_ci95: Interval | None = None
    energy_per_request_j: float | None = None
    energy_per_request_j_ci95: Interval | None = None
    energy_above_idle_j: float | None = None
    idle_power_w: float | None = None
    loaded_idle_power_w: float | None = None
    mean_power_w: float | None = None
    devices: tuple[DeviceEnergy, ...] = ()
    cpu_energy_j: float | None = None
    energy_source: str
    measured: bool
    method: str
    cross_check: CrossCheck | None = None
    # phases
    prefill_energy_j: float | None = None
    prefill_energy_j_ci95: Interval | None = None
    decode_energy_j: float | None = None
    decode_energy_j_ci95: Interval | None = None
    # repeats
    repeats: tuple[Window, ...] = ()
    # work
    input_tokens: int
    output_tokens: int
    requests: int
    duration_s: float
    output_tokens_per_s: float
    requests_per_s: float
    output_hash: str
    prompt_hash: str
    prompts_cut: int = 0
    # latency
    ttft_s: Spread | None = None
    tpot_s: Spread | None = None
    itl_s: Spread | None = None
    e2el_s: Spread | None = None
    # memory
    peak_memory_bytes: int | None = None
    model_memory_bytes: int | None = None
    memory_source: str | None = None
    # compute
    parameters: int | None = None
    active_parameters: int | None = None
    flops: float | None = None
    flops_formula: str | None = None
    mfu: float | None = None
    energy_optimality: float | None = None
    random_weights: bool
    model_dtype: str
    model_device: str
    # quality
    warmup: Warmup
    throttled: bool | None = None
    start_temperature_c: float | None = None
    lock_wait_s: float = 0.0
    recorder: RecorderCost | None = None
    timeseries: str | None = None
    validity: Validity
    versions: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    # verdicts
    verdicts: tuple[Verdict, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        """What results that are cycles of one another have in common: configuration and variant."""
        return self.config_hash, self.variant.get("name", "")

    def figure(self, metric: str) -> tuple[float | None, Interval | None]:
        """Value and 95 % interval of a metric by its budget name: ``energy_j``, ``ttft_s.p95``, ..."""
        name, _, statistic = metric.partition(".")
        value = getattr(self, name)
        if isinstance(value, Spread):
            return float(getattr(value, statistic or "median")), None
        interval = getattr(self, f"{name}_ci95", None)
        return (None if value is None else float(value)), interval
