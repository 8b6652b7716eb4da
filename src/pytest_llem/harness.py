"""The ``llem`` fixture: experiments from ordinary tests, with the same engine, results and budgets as study items."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.nodes import overrides_of
from pytest_llem.options import options_of
from pytest_llem.reporting import OverBudget, conclude, flat_figures, set_properties
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import RunFolder
from pytest_llem.session import stamp_of
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.pytorch import PytorchConfig
from pytest_llem.study.vllm import VllmEngine, VllmSampling

if TYPE_CHECKING:
    from pytest_llem.watched import WatchedBench

MARKER = "llem_budget"
_SECTIONS: dict[str, tuple[tuple[tuple[str, ...], type[Any]], ...]] = {
    "pytorch": ((("pytorch",), PytorchConfig),),
    "vllm": ((("vllm", "engine"), VllmEngine), (("vllm", "sampling"), VllmSampling)),
}


class Llem:
    """What the ``llem`` fixture gives a test."""

    def __init__(self, request: pytest.FixtureRequest, bench: WatchedBench) -> None:
        self._item = request.node
        self._bench = bench
        self._runs = 0
        self._earlier: list[str] = []  # results of this test so far

    def run(self, **fields: Any) -> ExperimentResult:
        """Run one experiment and judge it by the test's ``llem_budget`` marks.

        ``fields`` are those of a study file (``model``, ``backend``, ``dataset``, ``max_output_tokens``, ``measure``);
        the fields of the backend's own section may be given directly (``batch_size=4``). Raises StudyError for a field
        that does not exist, and fails the test when a budget is broken."""
        __tracebackhide__ = methodcaller("errisinstance", (LlemError, OverBudget))
        try:
            return self._run(fields)
        except (LlemError, OverBudget) as error:
            error.__traceback__ = None  # made for reading: of the way that it came only the test's own line helps
            raise

    def _run(self, fields: dict[str, Any]) -> ExperimentResult:
        self._runs += 1
        item, config = self._item, self._item.config
        options, (file, _, test) = options_of(config), item.nodeid.partition("::")
        study = study_from_mapping(
            {"llem": 1, **sorted_fields(fields), "budgets": budgets(item)},
            name=file.removesuffix(".py").replace("/", "."),  # a_b.py is not a/b.py
            where=item.nodeid,
            overrides=overrides_of(options),
        )
        name = test.replace("::", ".")
        cell = replace(study.cells[0], id=name if self._runs == 1 else f"{name}-{self._runs}")
        folder = RunFolder.create(options.results, study.name, stamp_of(config))
        told = {"run": str(folder.path), "study": study.name, "cell_id": cell.id, "config_hash": cell.config_hash}
        told |= {"earlier": "\n".join(self._earlier)} if self._earlier else {}
        config.hook.pytest_llem_experiment_start(config=config, cell=cell)
        try:
            result, path = self._bench.run(cell, folder, item.path.parent)
        except LlemError as error:
            set_properties(item, {**told, "error_type": error.kind})
            raise
        self._earlier.append(str(path))
        set_properties(item, {**flat_figures(result, path), **told})
        config.hook.pytest_llem_experiment_result(config=config, cell=cell, result=result)
        conclude(item, result)
        return result


_OF_A_STUDY = {
    "sweep": "one test runs one experiment: use pytest.mark.parametrize",
    "budgets": "budgets of a test are its marker: @pytest.mark.llem_budget(energy_per_output_token_j=0.5)",
    "variants": "variants belong to study files",
    "execution": "cycles, retries and time limits belong to study files; --llem-timeout holds for tests too",
}


def sorted_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments as a study mapping: fields of the backend's section go into that section."""
    backend = {"transformers": "pytorch"}.get(str(fields.get("backend")), str(fields.get("backend", "pytorch")))
    study: dict[str, Any] = {"model": "tiny"}
    known = {*ExperimentConfig.model_fields, backend}
    for name, value in fields.items():
        if name in known:
            study[name] = value
            continue
        place = next((path for path, model in _SECTIONS.get(backend, ()) if name in model.model_fields), None)
        if place is None:
            names = known.union(*(model.model_fields for _, model in _SECTIONS.get(backend, ())))
            near = difflib.get_close_matches(name, names, 1)
            hint = _OF_A_STUDY.get(name, f"did you mean {near[0]!r}?" if near else None)
            raise LlemError(f"llem.run() has no field {name!r}", hint=hint)
        section = study
        for part in place:
            section = section.setdefault(part, {})
        section[name] = value
    return study


def budgets(item: pytest.Item) -> list[dict[str, Any]]:
    """The limits of a test's ``llem_budget`` marks: ``METRIC=most`` and ``METRIC_min=least``; the nearest mark wins.

    Raises LlemError for a limit that names no figure."""
    limits: dict[tuple[str, str], Any] = {}
    for mark in item.iter_markers(MARKER):
        if mark.args:
            raise LlemError(
                f"{item.nodeid}: llem_budget({mark.args[0]!r}) does not say of what",
                hint="name the figure: llem_budget(energy_per_output_token_j=0.5), with _min for the least",
            )
        for name, value in mark.kwargs.items():
            side = "min" if name.endswith("_min") else "max"
            limits.setdefault((name.removesuffix("_min").replace("__", "."), side), value)
    return [{"metric": metric, side: value} for (metric, side), value in limits.items()]
