"""The ``pytorch`` section: transformers' own names for loading and ``generate``.

What has no field can be given in ``extra``. Only what transformers would refuse for certain is refused, before anything
is loaded; a rule that hangs on the model is left to transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from pytest_llem.errors import ValueRefused
from pytest_llem.study.strict import Section, Strict
from pytest_llem.study.wording import did_you_mean, listed, shown

SHAPE = "shape:"
SHAPES = ("llama-1b", "llama-8b", "qwen2.5-0.5b")


def _no_unknown_shape(model_id: str) -> str:
    known = [SHAPE + name for name in SHAPES]
    if model_id.startswith(SHAPE) and model_id not in known:
        hint = did_you_mean(model_id, known, otherwise=f"known are {listed(known, 'and')}")
        raise ValueRefused(f"{shown(model_id)} is not a built-in shape", hint=hint)
    return model_id


ModelId = Annotated[str, Field(min_length=1), AfterValidator(_no_unknown_shape)]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class TorchCompile(Strict):
    """``torch.compile`` of the forward pass."""

    mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    backend: Annotated[str, Field(min_length=1)] = "inductor"
    fullgraph: bool | None = None
    dynamic: bool | None = None


class Quantization(Strict):
    """bitsandbytes quantisation; names are those of ``BitsAndBytesConfig``."""

    load_in_4bit: bool = False
    load_in_8bit: bool = False
    bnb_4bit_compute_dtype: Literal["float32", "float16", "bfloat16"] | None = None
    bnb_4bit_quant_type: Literal["nf4", "fp4"] | None = None
    bnb_4bit_use_double_quant: bool | None = None
    bnb_4bit_quant_storage: Literal["uint8", "float16", "bfloat16", "float32"] | None = None
    llm_int8_threshold: Annotated[float, Field(ge=0)] | None = None
    llm_int8_skip_modules: list[str] | None = None
    llm_int8_enable_fp32_cpu_offload: bool | None = None
    llm_int8_has_fp16_weight: bool | None = None


class PytorchConfig(Section):
    """Fields of the PyTorch backend."""

    # loading
    batch_size: Count = 1
    dtype: Dtype | None = None
    device_map: str | dict[str, str | int] | None = None
    attn_implementation: (
        Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention"] | None
    ) = None
    torch_compile: bool | TorchCompile = False
    quantization: Quantization | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    # generation
    use_cache: bool = True
    cache_implementation: Literal["dynamic", "static", "offloaded", "offloaded_static", "quantized"] | None = None
    num_beams: Count | None = None
    early_stopping: bool | Literal["never"] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] | None = None
    num_return_sequences: Count | None = None
    do_sample: bool = False
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    epsilon_cutoff: Annotated[float, Field(ge=0, lt=1)] | None = None
    eta_cutoff: Annotated[float, Field(ge=0, lt=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    min_new_tokens: Annotated[int, Field(ge=0)] | None = None
    ignore_eos: bool = True
    # speculation
    prompt_lookup_num_tokens: Count | None = None
    assistant_model: ModelId | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)

    def contradictions(self) -> Iterator[str]:
        yield from _quantization_contradictions(self.quantization)
        if self.cache_implementation is not None and not self.use_cache:
            yield f"cache_implementation: {self.cache_implementation} needs use_cache: true"
        beams, answers = self.num_beams or 1, self.num_return_sequences or 1
        if answers > beams and not self.do_sample:
            need = f"is above num_beams ({beams})" if beams > 1 else "needs do_sample: true or as many num_beams"
            yield f"num_return_sequences ({answers}) {need}"
        yield from _assistant_contradictions(self)
        if self.do_sample and self.temperature == 0:
            yield "temperature must be above 0 with do_sample: true; greedy decoding is do_sample: false"

    def dormant(self) -> dict[str, str]:
        off: dict[str, str] = {}
        if not self.do_sample:
            off |= dict.fromkeys(_SAMPLING, "without do_sample: true")
        if (self.num_beams or 1) == 1:
            off |= dict.fromkeys(("early_stopping", "length_penalty"), "without num_beams above 1")
        if self.ignore_eos:
            off["min_new_tokens"] = "with ignore_eos: true"
        return self.given(off)


_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def _quantization_contradictions(quantization: Quantization | None) -> Iterator[str]:
    if quantization is None:
        return
    if quantization.load_in_4bit and quantization.load_in_8bit:
        yield "quantization: load_in_4bit and load_in_8bit exclude each other"
    for prefix, needed in (("bnb_4bit_", "load_in_4bit"), ("llm_int8_", "load_in_8bit")):
        given = [name for name, value in quantization if name.startswith(prefix) and value is not None]
        if given and not getattr(quantization, needed):
            yield f"quantization: {', '.join(given)} needs {needed}: true"


def _assistant_contradictions(config: PytorchConfig) -> Iterator[str]:
    given = [name for name in ("prompt_lookup_num_tokens", "assistant_model") if getattr(config, name) is not None]
    if len(given) == 2:
        yield f"{given[0]} and {given[1]} exclude each other"
    if len(given) != 1:
        return
    if config.batch_size > 1:
        yield f"{given[0]} works with batch_size 1 only, and it is {config.batch_size}"
    for name in ("num_beams", "num_return_sequences"):
        if (value := getattr(config, name) or 1) > 1:
            yield f"{given[0]} does not work with {name} ({value})"
    if not config.use_cache:
        yield f"{given[0]} needs use_cache: true"
    if config.cache_implementation in ("static", "offloaded_static"):
        yield f"{given[0]} does not work with cache_implementation: {config.cache_implementation}"
