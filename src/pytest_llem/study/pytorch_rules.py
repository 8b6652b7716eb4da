"""What the ``pytorch`` section's fields demand of each other, found before anything is loaded.

Only what transformers would refuse for certain is refused here; a rule that hangs on the model is left to transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llem.study.pytorch import PytorchConfig, Quantization

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
_BEAMS = ("early_stopping", "length_penalty")


def check(config: PytorchConfig) -> None:
    """Raise ValueError with everything in ``config`` that cannot work together."""
    problems = [
        *_quantization_problems(config.quantization),
        *_cache_problems(config),
        *_beam_problems(config),
        *_assistant_problems(config),
    ]
    if config.do_sample and config.temperature == 0:
        problems.append("temperature must be above 0 with do_sample: true; greedy decoding is do_sample: false")
    _refuse(problems)


def dormant(config: PytorchConfig) -> dict[str, str]:
    """The fields that are set and have no effect beside the others, each with the reason."""
    off: dict[str, str] = {}
    if not config.do_sample:
        off |= dict.fromkeys(_SAMPLING, "without do_sample: true")
    if (config.num_beams or 1) == 1:
        off |= dict.fromkeys(_BEAMS, "without num_beams above 1")
    if config.ignore_eos:
        off["min_new_tokens"] = "with ignore_eos: true"
    return {name: reason for name, reason in off.items() if getattr(config, name) is not None}


def _quantization_problems(quantization: Quantization | None) -> list[str]:
    if quantization is None:
        return []
    problems = []
    if quantization.load_in_4bit and quantization.load_in_8bit:
        problems.append("load_in_4bit and load_in_8bit exclude each other")
    for prefix, needed in (("bnb_4bit_", "load_in_4bit"), ("llm_int8_", "load_in_8bit")):
        given = [name for name, value in quantization if name.startswith(prefix) and value is not None]
        if given and not getattr(quantization, needed):
            problems.append(f"{', '.join(given)} needs {needed}: true")
    return [f"quantization: {problem}" for problem in problems]


def _cache_problems(config: PytorchConfig) -> list[str]:
    if config.cache_implementation is not None and not config.use_cache:
        return [f"cache_implementation: {config.cache_implementation} needs use_cache: true"]
    return []


def _beam_problems(config: PytorchConfig) -> list[str]:
    beams, returned = config.num_beams or 1, config.num_return_sequences or 1
    if returned == 1 or config.do_sample:
        return []
    if beams == 1:
        return [f"num_return_sequences ({returned}) needs do_sample: true or as many num_beams"]
    if returned > beams:
        return [f"num_return_sequences ({returned}) is above num_beams ({beams})"]
    return []


def _assistant_problems(config: PytorchConfig) -> list[str]:
    given = [name for name in ("prompt_lookup_num_tokens", "assistant_model") if getattr(config, name) is not None]
    if len(given) == 2:
        return ["prompt_lookup_num_tokens and assistant_model exclude each other"]
    if not given:
        return []
    problems = []
    if config.batch_size > 1:
        problems.append(f"{given[0]} works with batch_size 1 only, and it is {config.batch_size}")
    if (config.num_beams or 1) > 1:
        problems.append(f"{given[0]} does not work with num_beams ({config.num_beams})")
    if (config.num_return_sequences or 1) > 1:
        problems.append(f"{given[0]} does not work with num_return_sequences ({config.num_return_sequences})")
    if not config.use_cache:
        problems.append(f"{given[0]} needs use_cache: true")
    if config.cache_implementation in ("static", "offloaded_static"):
        problems.append(f"{given[0]} does not work with cache_implementation: {config.cache_implementation}")
    return problems


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))
