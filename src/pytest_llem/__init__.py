"""pytest-llem: the energy of LLM inference, measured and tested.

Importing this package imports nothing heavy. What is listed in ``__all__`` is stable; the rest is not.
Nothing is asserted here, so pytest need not ask why ``llem`` imported it first: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_llem.version import __version__

if TYPE_CHECKING:
    from pytest_llem.api import StudyResult, run_experiment, run_study
    from pytest_llem.results.model import ExperimentResult
    from pytest_llem.study.config import ExperimentConfig
    from pytest_llem.study.load import load_study
    from pytest_llem.study.study import Study


__all__ = [
    "ExperimentConfig",
    "ExperimentResult",
    "Study",
    "StudyResult",
    "__version__",
    "load_study",
    "run_experiment",
    "run_study",
]
_HOME = {
    "ExperimentConfig": "pytest_llem.study.config",
    "ExperimentResult": "pytest_llem.results.model",
    "Study": "pytest_llem.study.study",
    "StudyResult": "pytest_llem.api",
    "load_study": "pytest_llem.study.load",
    "run_experiment": "pytest_llem.api",
    "run_study": "pytest_llem.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
