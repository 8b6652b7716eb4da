"""What each key of LLenergyMeasure's study files becomes, or why it becomes nothing: the table of ``llem import``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llem.study.document import Json
from pytest_llem.study.header import safe_name
from pytest_llem.study.pytorch import PytorchConfig
from pytest_llem.study.vllm import ENGINE_SET, SAMPLING_SET, VllmEngine, VllmSampling

Dotted = tuple[str, ...]
Row = dict[Dotted, Json]

TENSORRT = "TensorRT-LLM is no backend here"
_PYTORCH = r"(?:transformers|pytorch)\.(?:engine_params\.|sampling_params\.|sampling\.|llem_execution\.)?"
_ENGINE = r"vllm\.(?:engine_params|engine)\."
_BEAMS = r"vllm\.(?:engine_params\.|engine\.)?beam_search\."
_WARMUP = r"(?:offline\.|measurement\.)?warmup\."
_RUN = r"(?:study_)?execution\."
_OPTION = "-an option of the run, not of the study: "

# What a misspelt key may have meant.
KNOWN = """task.model task.dataset.source task.dataset.n_prompts task.dataset.order task.max_input_tokens engine
    task.max_output_tokens task.random_seed serving_mode measurement.energy_sampler sweep experiments runners study_name
    study_execution.n_cycles study_execution.experiment_order"""

# A path here or, after a dash, why there is none; {} is the value. The first pattern that fits decides; a field of
# transformers or vLLM that is not in the table keeps its name.
TABLE: Sequence[tuple[str, str]] = (
    (r"tensorrt\..*", f"-{TENSORRT}"),
    (r"server\..*", "-there is no server"),
    (r"(?:study_)?name", "name"),
    (r"version", "-it was ignored there, too"),
    (r"(?:task\.)?model", "model.id"),
    (r"precision", "model.dtype"),
    (r"(?:task\.)?dataset(?:\.source)?", "dataset.source"),
    (r"task\.dataset\.n_prompts|dataset\.n|n", "dataset.n"),
    (r"task\.dataset\.order|dataset_order", "dataset.order"),
    (r"dataset\.input_len|(?:task\.)?max_input_tokens", "dataset.input_tokens"),
    (r"dataset\.seed", "dataset.seed"),
    (r"dataset\.output_len", "-it had no effect there; see max_output_tokens"),
    (r"(?:task\.)?max_output_tokens", "max_output_tokens"),
    (r"(?:task\.)?random_seed", "seed"),
    (r"(?:measurement\.)?energy_sampler|energy\.backend", f"{_OPTION}--llem-meter={{}}"),
    (r"(?:measurement\.)?baseline\..*", "-idle power is measured before every experiment"),
    (r"measurement\.latency_profiling", "measure.token_times"),
    (_WARMUP + "cv_threshold", "measure.warmup_cv"),
    (_WARMUP + "thermal_floor_seconds", "measure.thermal_wait_s"),
    (_WARMUP + "enabled", "measure.warmup"),
    (_WARMUP + ".*", "-a warm-up is whole passes until three agree; measure.warmup takes a number of passes"),
    (r"measurement\..*", "-every window begins after the warm-up and holds whole passes; see measure.min_window_s"),
    (r"output\.save_timeseries", "-a time series is always kept, if pyarrow is installed"),
    (r"output\.results_dir|output_dir", f"{_OPTION}--llem-results={{}}"),
    (r"lora\..*", "-adapters are not part of a study"),
    (_RUN + "n_cycles", "execution.cycles"),
    (_RUN + "(?:experiment|cycle)_order", "execution.order"),
    (_RUN + "(experiment|cycle)_gap_seconds", r"execution.\1_gap_s"),
    (_RUN + "(skip_preflight|max_consecutive_failures)", r"execution.\1"),
    (_RUN + "experiment_timeout_seconds", "execution.timeout_s"),
    (_RUN + "stdout_silence_timeout_seconds", "execution.silence_timeout_s"),
    (_RUN + "wall_clock_timeout_hours", "execution.study_timeout_s"),
    (_RUN + "shuffle_seed", "-the order follows from the study's hash"),
    (_RUN + "circuit_breaker_cooldown_seconds", "-a run that fails too often stops; --llem-resume goes on"),
    (_RUN + "deduplicate_equivalent", "-equal experiments always run once"),
    (_RUN + "gpu_indices", f"{_OPTION}--llem-gpus={{}}"),
    (_PYTORCH + r"(load_in_[48]bit|bnb_4bit_\w+)", r"pytorch.quantization.\1"),
    (_PYTORCH + "torch_compile_(mode|backend)", r"pytorch.torch_compile.\1"),
    (_PYTORCH + r"(?:allow_tf32|autocast_\w+)", "-a model runs in the dtype that it is loaded in"),
    (_PYTORCH + "tp_(?:plan|size)", "-PyTorch runs in one process; device_map: auto spreads a model over GPUs"),
    (_PYTORCH + "low_cpu_mem_usage", "-how weights are read; nothing of it is measured"),
    (r"transformers\.llem_execution\.(batch_size|torch_compile)", r"pytorch.\1"),
    (r"passthrough_kwargs\.(revision|trust_remote_code)", r"pytorch.\1"),
    (r"passthrough_kwargs\.(.+)", r"pytorch.extra.from_pretrained.\1"),
    (_ENGINE + r"attention\.backend", "vllm.engine.attention_backend"),
    (_ENGINE + r"attention\.(.+)", r"vllm.engine.attention_config.\1"),
    (_ENGINE + r"speculative_model", "vllm.engine.speculative_config.model"),
    (_ENGINE + "num_speculative_tokens", "vllm.engine.speculative_config.num_speculative_tokens"),
    (_ENGINE + "(?:swap_space|num_scheduler_steps|max_seq_len_to_capture)", "-today's vLLM has no such field"),
    (_BEAMS + "early_stopping", "-vLLM's beam search has no such field"),
    (_BEAMS + "max_tokens", "-it is the study's `max_output_tokens`"),
    (_BEAMS + "(.+)", r"vllm.beam_search.\1"),
)

_DTYPES: Mapping[Json, Json] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_VALUES: Mapping[str, Mapping[Json, Json]] = {
    "dataset.order": {"interleaved": "as_given", "grouped": "as_given"},
    "execution.order": {"interleave": "interleaved", "shuffle": "shuffled", "reverse": "reversed"},
    "measure.warmup": {False: 0, True: "auto"},
}
_NO_VALUE: Mapping[tuple[str, Json], str] = {
    ("execution.order", "latin_square"): "there is no such order; reversed cancels a drift as well",
    ("execution.silence_timeout_s", 0): "silence is always limited",
    ("max_output_tokens", None): "how much is generated is always said",
}
_PRESETS: Mapping[Json, Mapping[str, Json]] = {
    "deterministic": {},
    "standard": {"do_sample": True, "temperature": 1.0, "top_p": 0.95},
    "creative": {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "repetition_penalty": 1.1},
    "factual": {"do_sample": True, "temperature": 0.3},
}
_VLLM = {"engine": (VllmEngine.model_fields, ENGINE_SET), "sampling": (VllmSampling.model_fields, SAMPLING_SET)}
UNCUT = 1_000_000  # no prompt has so many tokens


def decoding(name: str, value: Json) -> Row | str | None:
    """What was set once for all engines."""
    said: Mapping[str, Json] | None = {name: value}
    if name in ("sampling_preset", "preset"):
        said = _PRESETS.get(value) if isinstance(value, str) else None
    if said is None:
        return None
    row: Row = {("pytorch", one): given for one, given in said.items()}
    vllm = {{"min_new_tokens": "min_tokens"}.get(one, one): given for one, given in said.items() if one != "do_sample"}
    return row | {("vllm", "sampling", one): given for one, given in vllm.items()}


def target_of(name: str) -> str | None:
    """The path here of a key there, or the reason after a dash; None where no such key is known."""
    for pattern, target in TABLE:
        if found := re.fullmatch(pattern, name):
            return found.expand(target)
    if found := re.fullmatch(r"(?:transformers|pytorch)\.(engine_params\.|sampling_params\.|sampling\.|)(.+)", name):
        group, rest = found.groups()
        if rest.split(".")[0] in PytorchConfig.model_fields:
            return f"pytorch.{rest}"
        return f"pytorch.extra.{rest}" if "sampling" in group else f"pytorch.extra.from_pretrained.{rest}"
    if found := re.fullmatch(r"vllm\.(engine|sampling)(?:_params)?\.(.+)", name):
        group, rest = found.groups()
        fields, elsewhere = _VLLM[group]
        if rest in elsewhere:
            return f"-it is {elsewhere[rest]}"
        return f"vllm.{group}.{rest}" if rest.split(".")[0] in fields else f"vllm.{group}.extra.{rest}"
    return None


def other_value(target: str, value: Json) -> Row | str:
    """What is set for ``value``; or the reason why this value has no counterpart."""
    if target == "dataset.input_tokens" and value is None:
        value = UNCUT
    elif target == "name":
        value = safe_name(str(value))
    elif target == "execution.study_timeout_s" and isinstance(value, int | float):
        value *= 3600
    elif not isinstance(value, list | dict):
        if (target, value) in _NO_VALUE:
            return _NO_VALUE[target, value]
        value = _VALUES.get(target, _DTYPES if target.endswith(".dtype") else {}).get(value, value)
    return {tuple(target.split(".")): value}


def values_of_range(written: Any) -> list[Json] | None:
    """The values of ``{min, max, num}``, evenly spaced, of ``{log: {min, max, num}}`` or ``{pow2: {min, max}}``."""
    kind = next((name for name in ("log", "pow2") if name in written), "")
    told = written[kind] if kind else written
    try:
        low, high = told["min"], told["max"]
        if kind == "pow2":
            raw = [2.0**power for power in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
        else:
            steps = [step / (told["num"] - 1) for step in range(told["num"])]
            raw = [low * (high / low) ** step if kind else low + (high - low) * step for step in steps]
        rounded = dict.fromkeys(float(f"{value:.10g}") for value in raw)
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    whole = isinstance(low, int) and isinstance(high, int) and all(value.is_integer() for value in rounded)
    return [int(value) if whole else value for value in rounded]
