"""Who decides where an experiment runs: command line, environment, study, ini, default, in that order."""

from __future__ import annotations

import pytest

from pytest_llem.errors import LlemError, StudyError
from pytest_llem.study.runner import Overrides, RunnerChoice, choose_runner, parse_runner
from tests.study.conftest import Load

ALL = {
    "command line": {"runner": "docker:a/cli:1"},
    "environment": {"environment": {"LLEM_RUNNER_VLLM": "docker:b/env:1", "LLEM_RUNNER_PYTORCH": "docker"}},
    "study": {},
    "ini": {"runner_ini": "docker:d/ini:1"},
}


@pytest.mark.parametrize(
    ("text", "kind", "image"),
    [
        ("local", "local", None),
        ("docker", "docker", None),
        ("docker:vllm/vllm-openai:v0.26.0", "docker", "vllm/vllm-openai:v0.26.0"),
        ("docker:host:5000/a@sha256:00ff", "docker", "host:5000/a@sha256:00ff"),
    ],
)
def test_runners(text: str, kind: str, image: str | None) -> None:
    assert parse_runner(text) == RunnerChoice(kind, image)


@pytest.mark.parametrize(
    "text", ["", "Local", "podman", "docker:", "docker:a b", "docker:-v", "local:x", "docker:$(x)"]
)
def test_what_is_no_runner(text: str) -> None:
    with pytest.raises(LlemError):
        parse_runner(text)


def test_the_highest_that_speaks_decides(load: Load) -> None:
    text = "backend: vllm\nrunner: docker:c/study:1\n"
    expected = [
        ("command line", "a/cli:1"),
        ("environment", "b/env:1"),
        ("study", "c/study:1"),
        ("ini", "d/ini:1"),
    ]
    said = dict(ALL)
    for source, image in expected:
        merged = {key: value for overrides in said.values() for key, value in overrides.items()}
        runner = load(text if "study" in said else "backend: vllm\n", **merged).cells[0].runner
        assert runner == RunnerChoice("docker", image, source)
        del said[source]
    assert load("backend: vllm\n").cells[0].runner == RunnerChoice("local", None, "default")


def test_what_is_said_of_one_backend_wins_over_what_is_said_of_all() -> None:
    overrides = Overrides(environment={"LLEM_RUNNER": "local", "LLEM_RUNNER_MY_OWN": "docker:x"})
    assert choose_runner("my-own", None, {}, overrides).image == "x"
    assert choose_runner("vllm", None, {}, overrides) == RunnerChoice("local", None, "environment")
    nothing = Overrides(environment={})
    assert choose_runner("vllm", "local", {"vllm": "docker"}, nothing).kind == "docker"
    assert choose_runner("pytorch", "local", {"vllm": "docker"}, nothing).kind == "local"


def test_the_alias_counts_in_runners_too(load: Load) -> None:
    assert load("runners: {transformers: docker}").cells[0].runner.kind == "docker"


def test_what_cannot_be_read_is_told_with_its_source(load: Load) -> None:
    with pytest.raises(StudyError) as caught:
        load(
            "seed: x",
            runner="dokcer",
            runner_ini="x",
            environment={"LLEM_RUNNER_VLLM": "local:x"},
            budgets=("e",),
            seed=-1,
        )
    assert sorted(str(caught.value).splitlines()) == [
        "command line: --llem-budget: 'e' is not a budget (write METRIC<=VALUE or METRIC>=VALUE, such as energy_j<=5)",
        "command line: --llem-runner: 'dokcer' is not a runner (did you mean docker?)",
        "command line: --llem-seed: expected a value at least 0, got -1",
        "environment: LLEM_RUNNER_VLLM: the local runner takes no image (write local, or docker:IMAGE)",
        "ini: llem_runner: 'x' is not a runner (write local, docker or docker:IMAGE)",
        "study.yaml:3: seed: expected a whole number, got 'x'",
    ]
