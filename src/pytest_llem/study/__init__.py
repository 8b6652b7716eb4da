"""Studies: what is to be measured. Pure data, no pytest, no GPU.

Names are imported when they are first used, so that ``looks_like_study`` costs neither pydantic nor yaml.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_llem.study.look import looks_like_study

if TYPE_CHECKING:
    from pytest_llem.study.budget import Budget
    from pytest_llem.study.cell import Cell
    from pytest_llem.study.config import ExperimentConfig
    from pytest_llem.study.header import Execution
    from pytest_llem.study.identity import config_hash
    from pytest_llem.study.load import load_study, study_from_mapping
    from pytest_llem.study.metrics import METRICS
    from pytest_llem.study.overrides import Overrides
    from pytest_llem.study.runner import RunnerChoice
    from pytest_llem.study.schema import study_json_schema
    from pytest_llem.study.study import LeftOut, Merged, Study

__all__ = [
    "METRICS",
    "Budget",
    "Cell",
    "Execution",
    "ExperimentConfig",
    "LeftOut",
    "Merged",
    "Overrides",
    "RunnerChoice",
    "Study",
    "config_hash",
    "load_study",
    "looks_like_study",
    "study_from_mapping",
    "study_json_schema",
]

_MODULES = {
    "METRICS": "metrics",
    "Budget": "budget",
    "Cell": "cell",
    "Execution": "header",
    "ExperimentConfig": "config",
    "LeftOut": "study",
    "Merged": "study",
    "Overrides": "overrides",
    "RunnerChoice": "runner",
    "Study": "study",
    "config_hash": "identity",
    "load_study": "load",
    "study_from_mapping": "load",
    "study_json_schema": "schema",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
