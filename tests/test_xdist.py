"""Several pytest workers on pretended GPUs: never two experiments on one, the same outcome as without xdist."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.runners.station import IDLE_S
from tests.conftest import CI, FAST, Studies
from tests.live_runs import LiveRun

pytest.importorskip("xdist")
CELLS = 24 if CI else 8


def study(cells: int) -> str:
    """The third cell is over its budget."""
    return f"""\
llem: 1
name: dealt
model: none
backend: instant
measure: {{warmup: 0, repeats: 2, min_window_s: 0.05, bracket_s: 0.05}}
instant: {{seconds: 0.05}}
sweep:
  max_output_tokens: {list(range(1, cells + 1))}
budgets:
  - {{metric: e2el_s, max: 0, when: {{max_output_tokens: 3}}}}
"""


def outcomes(folder: Path) -> set[tuple[str, str]]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return {(entry["cell_id"], entry["status"]) for entry in manifest["cells"]}


def by_gpu(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """When each experiment was on which device, in order: at least for its windows, and before them for as long as a
    GPU is watched without a worker."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in folder.glob("*/result.json"):
        result: dict[str, Any] = json.loads(path.read_text())
        (device,) = result["devices"]
        idle_s = IDLE_S if device["uuid"].startswith("GPU") else 0.0
        begin, end = result["repeats"][0]["start"] - idle_s, result["repeats"][-1]["end"]
        found.setdefault(device["uuid"], []).append((begin, end))
    return {uuid: sorted(spans) for uuid, spans in found.items()}


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.slow
def test_no_two_experiments_on_one_gpu_and_the_same_outcomes_as_one_after_another(studies: Studies) -> None:
    studies.write(study(CELLS))
    four = studies.run("-n4", "--llem-meter=nvml", "--llem-results=four")
    assert four.ret == 1
    assert len([line for line in four.outlines if "energy: dealt" in line]) == 1, "one summary"
    (folder,) = studies.pytester.path.glob("four/*-*")
    spans = by_gpu(folder)
    assert sum(map(len, spans.values())) == CELLS
    assert set(spans) == {"GPU-a", "GPU-b"}, "both are used"
    for of_one in spans.values():
        assert all(before[1] <= after[0] for before, after in pairwise(of_one))
    one = studies.run("--llem-meter=nvml", "--llem-results=one")
    assert one.ret == 1
    (serial,) = studies.pytester.path.glob("one/*-*")
    assert outcomes(folder) == outcomes(serial)
    assert ("instant-out3", "over_budget") in outcomes(folder)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("meter", [("--llem-meter=nvml", "--llem-gpus=1"), ("--llem-meter=cpu-estimate",)])
def test_two_runs_on_one_host_exclude_each_other(studies: Studies, meter: tuple[str, ...]) -> None:
    """One experiment after the other on the only GPU that they may use, or on the host where the meter is per host."""
    studies.write(study(3))
    runs = [LiveRun(studies, *meter, f"--llem-results={name}") for name in ("one", "two")]
    assert [run.end(120) for run in runs] == [1, 1], "one cell is over its budget"
    folders = [folder for name in ("one", "two") for folder in studies.pytester.path.glob(f"{name}/dealt-*")]
    spans = sorted(span for folder in folders for of_one in by_gpu(folder).values() for span in of_one)
    assert len(spans) == 6
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    results = [json.loads(path.read_text()) for folder in folders for path in folder.glob("*/result.json")]
    assert len({result["devices"][0]["uuid"] for result in results}) == 1
    assert max(result["lock_wait_s"] for result in results) > 0.1, "they did meet"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.slow
def test_as_many_workers_as_gpus_where_there_are_studies_alone(
    studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies.write(study(CELLS))
    arguments = ("--llem-only", "-n", "auto", "--llem-meter=nvml", "-k", "out1 or out2")
    studies.run(*arguments).stdout.fnmatch_lines(["created: 2/2 workers"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    studies.run("--llem-results=visible", *arguments).stdout.fnmatch_lines(["created: 1/1 worker"])
    (folder,) = studies.pytester.path.glob("visible/*-*")
    assert set(by_gpu(folder)) == {"GPU-b"}


def test_a_worker_that_dies_loses_its_own_item_only(studies: Studies) -> None:
    studies.write(
        f"llem: 1\nname: dying\nmodel: none\nbackend: instant\n{FAST}\nsweep: {{max_output_tokens: [1, 2, 3, 4]}}\n"
    )
    studies.pytester.makeconftest(
        """
        import os, signal
        def pytest_llem_experiment_start(cell):
            if cell.id == "instant-out2":
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    result = studies.run("-n2")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == 1
    assert studies.statuses() == {
        "instant-out1": "passed",
        "instant-out2": "error",
        "instant-out3": "passed",
        "instant-out4": "passed",
    }
    (studies.pytester.path / "conftest.py").unlink()
    assert studies.run("-n2", "--llem-resume").ret == 0
    assert set(studies.statuses().values()) == {"passed"}


def test_experiments_that_share_an_engine_are_neighbours_and_say_so(studies: Studies) -> None:
    studies.write(
        f"llem: 1\nname: shared\nmodel: none\nbackend: instant\n{FAST}\n"
        "sweep: {max_output_tokens: [1, 2], instant.engine: [a, b]}\n"
    )
    order = [line for line in studies.run("--llem-isolation=engine", "--collect-only", "-q").outlines if "::" in line]
    assert [line[-2] for line in order] == ["a", "a", "b", "b"]
    assert studies.run("--llem-isolation=engine").ret == 0
    told = {name: result["warnings"] for name, result in studies.results().items()}
    sharing = [name for name, warnings in told.items() if any("whose loaded engine it shares" in w for w in warnings)]
    assert len(sharing) == 2
