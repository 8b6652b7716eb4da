"""The ``pytorch`` section: transformers' own names for loading and ``generate``.

A field that is ``None`` is left to the library's own default. What has no field can be given in ``extra``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from pytest_llem.study import pytorch_rules as rules
from pytest_llem.study.strict import Strict

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


class PytorchConfig(Strict):
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
    assistant_model: Annotated[str, Field(min_length=1)] | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        rules.check(self)
        return self

    def dormant(self) -> dict[str, str]:
        """The fields that are set and have no effect beside the others, each with the reason."""
        return rules.dormant(self)

    def normalised(self) -> PytorchConfig:
        """The same experiment with the dormant fields unset: equal experiments become equal."""
        return self.model_copy(update=dict.fromkeys(self.dormant()))
