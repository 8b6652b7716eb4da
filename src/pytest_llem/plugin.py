"""pytest's hooks. Each only decides whether there is anything to do; what is done lies in the modules it imports then.

This module is loaded in every pytest run of every project that has pytest-llem installed, so it imports nothing but
the standard library and pytest until a study file has been seen or a fixture is asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.fixtures import (
    llem,
    llem_bench,
    llem_container,
    llem_containers,
    llem_gpu,
    llem_measure,
    llem_meter,
    llem_results_dir,
)
from pytest_llem.flags import NEWEST, RESUME, add_options, anything_said

__all__ = [
    "llem",
    "llem_bench",
    "llem_container",
    "llem_containers",
    "llem_gpu",
    "llem_measure",
    "llem_meter",
    "llem_results_dir",
]

_YAML = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """``--llem-resume studies/``: the folder is no run. Only ``--llem-resume=RUN`` names one."""
    args[:] = [f"{RESUME}={NEWEST}" if argument == RESUME else argument for argument in args]


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto`` for studies alone: as many workers as there are GPUs to measure on."""
    if not config.getoption("llem_only"):
        return None
    from pytest_llem.errors import LlemError
    from pytest_llem.options import options_of
    from pytest_llem.runners.devices import gpus_to_use

    try:
        return max(1, len(gpus_to_use(options_of(config).gpus)))
    except LlemError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_llem import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "llem(**axes): set on every study item, with its swept values and its backend")
    config.addinivalue_line(
        "markers",
        "llem_budget(**limits): the most that a figure of the test's experiments may be; METRIC_min: the least",
    )
    if anything_said(config):  # what cannot be used is told before anything is collected
        from pytest_llem.following import follow
        from pytest_llem.options import options_of

        options_of(config)
        follow(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: what is collected is not known here, and every worker writes into the same run."""
    from pytest_llem.following import follow
    from pytest_llem.live import listen_to
    from pytest_llem.session import stamp_of

    follow(node.config)
    node.workerinput["llem_stamp"] = stamp_of(node.config)
    listen_to(node)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """``--llem-only``: leave other files alone, so that a broken test module cannot stop a study."""
    only = config.getoption("llem_only")
    return True if only and collection_path.is_file() and collection_path.suffix not in _YAML else None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect YAML files that look like studies, and those that were named explicitly and that nobody else wants."""
    collectors = yield
    if file_path.suffix in _YAML and not parent.config.getoption("llem_skip"):
        from pytest_llem.study.look import looks_like_study

        named = parent.session.isinitpath(file_path) and (parent.config.getoption("llem_only") or not collectors)
        kept = (file_path.parent / "manifest.json").exists()  # the copy of a study in a run's folder
        if named or (looks_like_study(file_path) and not kept):
            from pytest_llem.nodes import StudyFile

            collectors.append(StudyFile.from_parent(parent, path=file_path))
    return collectors


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A limit on a test that runs no experiment would hold whatever happens, so it is told."""
    limited = any(mark.name == "llem_budget" for mark in item.own_markers)  # a class may have some tests without
    if limited and "llem" not in getattr(item, "fixturenames", ("llem",)):
        from pytest_llem.reporting import LlemWarning

        item.warn(LlemWarning(f"{item.name}: llem_budget limits nothing: the test does not use the fixture llem"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if "pytest_llem.nodes" in sys.modules and not session.config.getoption("collectonly"):
        from pytest_llem.following import follow
        from pytest_llem.runs import prepare
        from pytest_llem.session import stamp_of

        follow(session.config)
        prepare(session.items, session.config, stamp_of(session.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "pytest_llem.containers" in sys.modules:
        from pytest_llem.containers import add_logs

        add_logs(item, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_json_runtest_metadata(item: pytest.Item, call: pytest.CallInfo[None]) -> dict[str, object] | None:
    """pytest-json-report: each test's metadata holds its result."""
    path = dict(item.user_properties).get("llem.result") if call.when == "call" else None
    return {"llem": json.loads(Path(str(path)).read_bytes())} if path is not None else None


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    verdict = dict(report.user_properties).get("llem.verdict") if report.when == "call" else None
    if verdict == "over_budget" and report.failed:
        return "failed", "B", ("OVER BUDGET", {"red": True, "bold": True})
    if verdict == "inconclusive" and report.passed and not hasattr(report, "wasxfail"):
        return "passed", "?", ("INCONCLUSIVE", {"yellow": True})
    return None
