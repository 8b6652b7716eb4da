"""Loading a model with transformers, onto the device that is metered."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_llem.backends.models import id_hint, is_shape, model_folder, model_source
from pytest_llem.backends.pytorch_options import loading_options, pytorch_section
from pytest_llem.backends.refusals import refusals
from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.config import ExperimentConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SPREADING = ("auto", "balanced", "balanced_low_0", "sequential")  # device maps that transformers works out itself
_SHAPE_SEED = 0


def load_model(config: ExperimentConfig) -> PreTrainedModel:
    """The model in evaluation mode, every weight on the metered device(s); raises BackendError."""
    import torch

    with refusals(f"{config.model.id} cannot be loaded", id_hint(config.model.id)):
        model = _from_shape(config) if is_shape(config.model.id) else _from_weights(config)
        model.eval()
        _require_on_device(model, config)
        if how := pytorch_section(config).torch_compile:
            arguments = {} if how is True else how.model_dump(exclude_none=True)
            model.forward = torch.compile(model.forward, **arguments)
        return model


def load_assistant(config: ExperimentConfig, model: PreTrainedModel) -> PreTrainedModel | None:
    """The model that drafts for ``assistant_model``, on the first one's device and in its dtype."""
    name = pytorch_section(config).assistant_model
    if name is None:
        return None
    draft = config.model_copy(
        update={
            "model": config.model.model_copy(update={"id": name, "revision": None}),
            "pytorch": pytorch_section(config).model_copy(
                update={"device_map": str(model.device), "quantization": None, "revision": None, "torch_compile": False}
            ),
        }
    )
    return load_model(draft)


def default_device() -> str:
    """The one visible GPU, else the CPU."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _from_weights(config: ExperimentConfig) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    section = pytorch_section(config)
    options: dict[str, Any] = dict(loading_options(config))
    device_map = section.device_map or default_device()
    if device_map != "cpu":  # the CPU is where transformers loads anyway; a map would ask for accelerate
        if find_spec("accelerate") is None:
            raise MissingDependency("accelerate", "transformers")
        options["device_map"] = device_map
    if section.quantization is not None:
        options["quantization_config"] = BitsAndBytesConfig(**section.quantization.model_dump(exclude_none=True))
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(model_source(config.model.id), **options)
    return model


def _from_shape(config: ExperimentConfig) -> PreTrainedModel:
    """Random weights made where they are used: nothing is read, nothing crosses the bus."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    section = pytorch_section(config)
    if section.quantization is not None:
        raise BackendError(
            f"{config.model.id} cannot be quantised: it has no weights to read",
            hint="use tiny or a model from the hub with pytorch.quantization",
        )
    options = {
        name: value
        for name, value in loading_options(config).items()
        if name not in ("revision", "trust_remote_code") and not (name == "dtype" and value == "auto")
    }
    torch.manual_seed(_SHAPE_SEED)
    with torch.device(_single_device(config)):
        architecture = AutoConfig.from_pretrained(model_folder(config.model.id))
        model: PreTrainedModel = AutoModelForCausalLM.from_config(architecture, **options)
    return model


def _single_device(config: ExperimentConfig) -> str:
    import torch

    asked = pytorch_section(config).device_map
    if asked is None or (asked in _SPREADING and torch.cuda.device_count() <= 1):
        return default_device()
    if isinstance(asked, str) and asked not in _SPREADING:
        return asked
    raise BackendError(
        f"{config.model.id} cannot be spread over several devices",
        hint="leave pytorch.device_map out, or name one device",
    )


def _require_on_device(model: PreTrainedModel, config: ExperimentConfig) -> None:
    """Weights elsewhere would move with every pass, and their energy would be another device's."""
    wanted = "cpu" if "cpu" in (pytorch_section(config).device_map, default_device()) else "cuda"
    strays = [(name, weight.device) for name, weight in model.named_parameters() if weight.device.type != wanted]
    if strays:
        name, place = strays[0]
        raise BackendError(
            f"{len(strays)} weights are not on the {wanted} device that is metered, but on {place}: {name}, …",
            hint="use a smaller model, dtype or quantisation, or more GPUs; pytorch.device_map: cpu runs it on the CPU",
        )
