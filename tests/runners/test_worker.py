"""The worker program itself, in its own process, on the real tiny model: whole conversations, and broken ones."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from pytest_llem.runners.job import WorkerJob, WorkerResult, read, write
from pytest_llem.runners.messages import PROTOCOL_VERSION
from pytest_llem.runners.worker import Worker
from pytest_llem.runners.worker_link import HOST_LOST, HostLink

from .worker_host import TestHost, job

Start = Callable[[WorkerJob], TestHost]
LONG = {"warmup": 0, "repeats": 1, "min_window_s": 600}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    hosts: list[TestHost] = []

    def begin(first: WorkerJob) -> TestHost:
        hosts.append(TestHost(tmp_path, first))
        return hosts[-1]

    yield begin
    for host in hosts:
        host.end()


def test_two_experiments_share_an_engine_and_a_third_gets_its_own(start: Start) -> None:
    host = start(job("one.json", measure={"token_times": True}))
    heard = host.lead()
    phases = [message["type"] for message in heard if message["type"] != "progress"]
    assert phases == ["hello", "phase", "loaded", "phase", "ready", "window", "ready", "window", "result"]
    assert (heard[0]["protocol"], heard[0]["pid"]) == (PROTOCOL_VERSION, host.process.pid)
    assert [message["phase"] for message in heard if message["type"] == "phase"] == ["loading", "warmup"]
    assert [message["window"] for message in heard if message["type"] == "ready"] == [1, 2]
    one = read(host.folder / "one.json", WorkerResult)
    told = [(message["start"], message["end"]) for message in heard if message["type"] == "window"]
    assert told == [(window.start, window.end) for window in one.windows]
    assert one.facts.parameters == 3_967_744
    assert not any("peak memory includes" in note for note in one.notes)
    assert (one.warmup.n, one.warmup.cv) == (1, None)
    window = one.windows[0]
    assert window.input_tokens == 8 * window.requests == 16 * window.passes
    assert window.output_tokens == 6 * window.requests
    assert len(window.ttft_s) == len(window.tpot_s) == len(window.e2el_s) == window.requests
    assert len(window.itl_s) == 5 * window.requests
    assert one.load_start < window.start < window.end <= one.windows[1].start
    assert one.peak_memory_bytes
    assert {"python", "torch", "transformers", "pytest-llem"} <= one.versions.keys()

    write(host.folder / "job-2.json", job("two.json", pytorch={"batch_size": 2}))
    host.say("experiment", job="job-2.json")
    host.lead()
    two = read(host.folder / "two.json", WorkerResult)
    assert two.load_start == one.load_start
    assert two.output_hash == one.output_hash  # batched or not, the answers are the same
    assert two.prompt_hash == one.prompt_hash
    assert any("peak memory includes" in note for note in two.notes)

    write(host.folder / "job-3.json", job("three.json", pytorch={"dtype": "bfloat16"}))
    host.say("experiment", job="job-3.json")
    host.lead()
    three = read(host.folder / "three.json", WorkerResult)
    assert not any("peak memory includes" in note for note in three.notes)
    assert three.facts.dtype == "bfloat16"
    assert three.load_start > two.windows[-1].end

    host.say("close")
    host.hang_up()
    assert host.wait() == 0


def test_no_garbage_is_collected_between_go_and_the_window(
    instant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collecting walks through all of torch, for half a second in which the host would look at no counter."""
    events: list[str] = []

    class Host:
        def send(self, kind: str, **_: object) -> None:
            events.append(kind)

        def wait(self, kind: str) -> dict[str, object]:
            events.append(kind)
            return {}

    monkeypatch.setattr("gc.collect", lambda: events.append("collect"))
    order = job("one.json", measure={"repeats": 2}).model_copy()
    experiment = order.experiment.model_copy(update={"backend": "instant"})
    Worker(cast("HostLink", Host()))._run(order.model_copy(update={"experiment": experiment}), tmp_path)
    assert events.count("collect") >= 2
    assert [after for before, after in pairwise(events) if before == "ready"] == ["go", "go"]
    assert [after for before, after in pairwise(events) if before == "go"][1:] == ["window", "window"]


def test_an_experiment_that_cannot_be_loaded_is_one_structured_error(start: Start, tmp_path: Path) -> None:
    host = start(job(model={"id": str(tmp_path / "nothing")}))
    error = host.lead()[-1]
    assert (error["type"], error["error_type"]) == ("error", "BackendError")
    assert "there is no model folder" in str(error["message"])
    assert "\n" not in str(error["message"])
    assert host.wait() == 1
    assert "Traceback" in host.log.read_text()
    assert not (tmp_path / "result.json").exists()


def test_an_error_in_the_middle_carries_its_hint(start: Start) -> None:
    host = start(job(dataset={"n": 1, "input_tokens": 4096}))
    error = host.lead()[-1]
    assert "room for 4096 tokens" in str(error["message"])
    assert error["hint"] == "lower dataset.input_tokens or max_output_tokens"
    assert host.wait() == 1


def test_a_host_that_speaks_another_protocol_is_refused(start: Start) -> None:
    host = start(job().model_copy(update={"protocol": 99}))
    error = host.lead()[-1]
    assert error["error_type"] == "RunnerError"
    assert "protocol 99" in str(error["message"])
    assert host.wait() == 1


def test_an_order_out_of_turn_is_refused(start: Start) -> None:
    host = start(job())
    host.hear_until("loaded")
    host.say("experiment", job="x.json")
    assert "expected go" in str(host.hear()["message"])
    assert host.wait() == 1


def test_close_in_place_of_go_ends_it_in_order(start: Start) -> None:
    host = start(job())
    host.hear_until("loaded")
    host.say("close")
    assert host.wait() == 0


def test_a_worker_whose_host_vanishes_in_the_middle_of_a_window_ends_at_once(start: Start) -> None:
    host = start(job(measure=LONG))
    host.hear_until("loaded")
    host.say("go")
    host.hear_until("ready")
    host.say("go")
    host.hang_up()
    assert host.process.wait(5) == HOST_LOST


def test_sigterm_in_the_middle_of_a_window_ends_it_in_order(start: Start) -> None:
    host = start(job(measure=LONG))
    host.hear_until("loaded")
    host.say("go")
    host.hear_until("ready")
    host.say("go")
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(10) == 128 + signal.SIGTERM


def test_files_of_the_study_are_found_from_the_base_folder(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "prompts.csv").write_text("prompt\nA long sentence about energy.\nShort.\n")
    dataset = {"source": "prompts.csv", "n": 2, "input_tokens": 4}
    host = start(job(base_folder=str(data), dataset=dataset))
    host.lead()
    result = read(host.folder / "result.json", WorkerResult)
    assert (result.prompts, result.prompts_cut) == (2, 1)


@pytest.mark.parametrize(("variable", "said"), [("", "is not set"), ("/no/job.json", "/no/job.json cannot be read")])
def test_without_a_job_it_says_so_and_ends(variable: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_llem.runners.worker"],
        env={"LLEM_CONFIG_PATH": variable, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_the_worker_imports_nothing_heavy() -> None:
    program = (
        "import sys, pytest_llem.runners.worker as w;"
        "print(sorted({'torch', 'transformers', 'pytest', 'tokenizers', 'pynvml', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
