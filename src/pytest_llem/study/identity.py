"""What makes two experiments the same: what really runs, and a hash of it; and a hash of a study.

A hash is the first 16 hex digits of the SHA-256 of canonical JSON: keys sorted, no spaces, ASCII, floats as the
shortest text that reads back. A field that has its default value is left out, so that a field
added later does not change the hash of a study written earlier; whoever changes a default changes ``HASH_VERSION``.
Where things lie is no part of it: of a file or folder only its own name counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from pytest_llem.study.config import DATASET_SUFFIXES, ExperimentConfig, said_by_section
from pytest_llem.study.header import Execution
from pytest_llem.study.pytorch import PytorchConfig
from pytest_llem.study.strict import Section
from pytest_llem.study.variants import Variant
from pytest_llem.study.vllm import VllmConfig

HASH_VERSION = 1
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def effective(config: ExperimentConfig) -> tuple[ExperimentConfig, tuple[str, ...]]:
    """The configuration in its one spelling, and a note for each field that was set and has no effect.

    The backend's own section is present, and dtype, revision and trust_remote_code stand both in ``model`` and in the
    section, wherever they were given. The effective form of an effective configuration is itself.
    """
    model = config.model.but({name: value for name, (value, _) in said_by_section(config).items()})
    given: Section
    section: Section
    match config.backend:
        case "pytorch":
            given = config.pytorch or PytorchConfig()
            said = {name: getattr(model, name) for name in ("dtype", "revision", "trust_remote_code")}
            section = given.normalised().but({name: one for name, one in said.items() if one not in (None, False)})
        case "vllm":
            given = vllm = config.vllm or VllmConfig()
            if model.dtype is not None:
                vllm = vllm.but({"engine": vllm.engine.but({"dtype": vllm.engine.dtype or model.dtype})})
            section = vllm.normalised()
        case _:
            return config, ()
    notes = [f"{config.backend}.{path} has no effect {reason}" for path, reason in given.dormant().items()]
    if isinstance(given, PytorchConfig) and given.batch_size > config.dataset.n:
        notes.append(f"pytorch.batch_size above dataset.n makes no larger batches than {config.dataset.n}")
    return config.model_copy(update={"model": model, config.backend: section}), tuple(notes)


def config_hash(config: ExperimentConfig) -> str:
    """16 hex digits; equal for configurations that run the same experiment, whatever was left to its default."""
    return hash_of_effective(effective(config)[0])


def hash_of_effective(config: ExperimentConfig) -> str:
    """``config_hash`` of what ``effective`` returned, without doing its work again."""
    told = config.model_dump(mode="json", exclude_defaults=True)
    model_id, source = config.model.id, config.dataset.source
    if is_folder(model_id):
        told["model"]["id"] = PurePath(model_id).name
    if source.endswith(DATASET_SUFFIXES):
        told["dataset"]["source"] = PurePath(source).name
    return _digest([HASH_VERSION, told])


def study_hash(config_hashes: Iterable[str], execution: Execution, variants: Sequence[Variant] = ()) -> str:
    """16 hex digits of what is measured, how often, in which order and with which gaps.

    Names, budgets, runners and time limits may change without making the results of a run belong to another study.
    """
    auto = {"max_cycles", "precision"} if execution.cycles == "auto" else set()
    how = execution.model_dump(include={"cycles", "order", "experiment_gap_s", "cycle_gap_s"} | auto)
    return _digest([HASH_VERSION, sorted(config_hashes), how, *(variant.facts() for variant in variants)])


def is_folder(model_id: str) -> bool:
    """Whether a model is named by a path; a hub id never starts like one."""
    return model_id.startswith(("/", "./", "../", "~"))


def _digest(value: object) -> str:
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:16]
