"""Files that a study names lie beside the study, wherever it is run from."""

from __future__ import annotations

from pathlib import Path, PurePath

from pytest_llem.study.config import DATASET_SUFFIXES, ExperimentConfig
from pytest_llem.study.identity import is_folder


def located(config: ExperimentConfig, folder: Path | None) -> ExperimentConfig:
    """``config`` with the paths of a prompt file and of a model's folder made absolute; ``folder`` is the study's."""
    if folder is None:
        return config
    update = {}
    if PurePath(config.dataset.source).suffix in DATASET_SUFFIXES:
        update["dataset"] = config.dataset.model_copy(update={"source": _absolute(config.dataset.source, folder)})
    if is_folder(config.model.id):
        update["model"] = config.model.model_copy(update={"id": _absolute(config.model.id, folder)})
    return config.model_copy(update=update) if update else config


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).resolve())
