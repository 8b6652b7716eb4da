"""The ``pytorch`` section: transformers' own names for loading and ``generate``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Dtype = Literal["auto", "float32", "float16", "bfloat16"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class TorchCompile(_Strict):
    """``torch.compile`` of the forward pass."""

    mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    backend: str = "inductor"


class Quantization(_Strict):
    """bitsandbytes quantisation; names are those of ``BitsAndBytesConfig``."""

    load_in_4bit: bool = False
    load_in_8bit: bool = False
    bnb_4bit_compute_dtype: Literal["float32", "float16", "bfloat16"] | None = None
    bnb_4bit_quant_type: Literal["nf4", "fp4"] | None = None
    bnb_4bit_use_double_quant: bool | None = None


class PytorchConfig(_Strict):
    """Fields of the PyTorch backend. ``None`` leaves the library's default."""

    # loading
    batch_size: Annotated[int, Field(ge=1)] = 1
    dtype: Dtype | None = None
    device_map: str | dict[str, str | int] | None = None
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = None
    torch_compile: bool | TorchCompile = False
    quantization: Quantization | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    # generation
    use_cache: bool = True
    cache_implementation: Literal["dynamic", "static", "offloaded", "offloaded_static", "quantized"] | None = None
    num_beams: Annotated[int, Field(ge=1)] | None = None
    early_stopping: bool | Literal["never"] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] | None = None
    num_return_sequences: Annotated[int, Field(ge=1)] | None = None
    do_sample: bool = False
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    min_new_tokens: Annotated[int, Field(ge=0)] | None = None
    ignore_eos: bool = True
    prompt_lookup_num_tokens: Annotated[int, Field(ge=1)] | None = None
    assistant_model: str | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)
