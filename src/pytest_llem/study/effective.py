"""The configuration that really runs: every section present, nothing said that has no effect."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pytest_llem.study.config import ExperimentConfig, said_by_section
from pytest_llem.study.pytorch import PytorchConfig
from pytest_llem.study.vllm import VllmConfig


def effective(config: ExperimentConfig) -> tuple[ExperimentConfig, tuple[str, ...]]:
    """The configuration in its one spelling, and a note for each field that was set and has no effect.

    The backend's own section is present, and dtype, revision and trust_remote_code stand both in ``model`` and in the
    section, wherever they were given. The effective form of an effective configuration is itself.
    """
    update: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    model = config.model
    said = {name: value for name, (value, _) in said_by_section(config).items() if getattr(model, name) != value}
    if said:
        model = update["model"] = model.model_copy(update=said)
    if config.backend == "pytorch":
        section = config.pytorch or PytorchConfig()
        dormant = section.dormant()
        notes = tuple(f"pytorch.{name} has no effect {reason}" for name, reason in dormant.items())
        told = {name: value for name in ("dtype", "revision") if (value := getattr(model, name)) is not None}
        told |= {"trust_remote_code": True} if model.trust_remote_code else {}
        update["pytorch"] = (section.normalised() if dormant else section).model_copy(update=told)
    elif config.backend == "vllm":
        given = config.vllm or VllmConfig()
        vllm = given.normalised()
        notes = tuple(f"vllm.{path} has no effect beside the other values" for path in _changed(given, vllm))
        if model.dtype is not None and vllm.engine.dtype is None:
            vllm = vllm.model_copy(update={"engine": vllm.engine.model_copy(update={"dtype": model.dtype})})
        update["vllm"] = vllm
    return config.model_copy(update=update), notes


def _changed(before: BaseModel, after: BaseModel, above: str = "") -> list[str]:
    """Paths of the fields in which two objects of one model differ."""
    paths: list[str] = []
    if before == after:
        return paths
    for name, old in before:
        new = getattr(after, name)
        if isinstance(old, BaseModel) and isinstance(new, BaseModel):
            paths += _changed(old, new, f"{above}{name}.")
        elif old != new:
            paths.append(f"{above}{name}")
    return paths
