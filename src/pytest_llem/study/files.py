"""Files that a study names lie beside the study, wherever it is run from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llem.study.config import DATASET_SUFFIXES, ExperimentConfig
from pytest_llem.study.document import Document
from pytest_llem.study.expand import Experiment
from pytest_llem.study.identity import is_folder
from pytest_llem.study.problems import Problems, shown
from pytest_llem.study.strict import Strict


def located(config: ExperimentConfig, folder: Path) -> ExperimentConfig:
    """``config`` with the paths of a prompt file and of a model's folder made absolute; ``folder`` is the study's."""
    update: dict[str, Strict] = {}
    if config.dataset.source.endswith(DATASET_SUFFIXES):
        source = str(_absolute(config.dataset.source, folder))
        update["dataset"] = config.dataset.model_copy(update={"source": source})
    if is_folder(config.model.id):
        update["model"] = config.model.model_copy(update={"id": str(_absolute(config.model.id, folder))})
    return config.model_copy(update=update) if update else config


def check_files(experiments: Sequence[Experiment], document: Document, folder: Path, problems: Problems) -> None:
    """Add each prompt file and each model's folder that is not there."""
    seen: set[str] = set()
    for one in experiments:
        source, model = one.given.dataset.source, one.given.model.id
        if source.endswith(DATASET_SUFFIXES) and source not in seen and not _absolute(source, folder).is_file():
            problems.at(document, ("dataset", "source"), f"there is no file {shown(source)}", _RELATIVE)
        if is_folder(model) and model not in seen and not _absolute(model, folder).is_dir():
            problems.at(document, ("model", "id"), f"there is no folder {shown(model)}", _RELATIVE)
        seen |= {source, model}


_RELATIVE = "the path is relative to the study's folder"


def _absolute(path: str, folder: Path) -> Path:
    try:
        return (folder / Path(path).expanduser()).resolve()
    except (OSError, RuntimeError):  # no such user, or links that go round
        return folder / path
