"""The worker program: loads a model, warms up, generates in windows, and says when each thing happened.

Started with ``LLEM_CONFIG_PATH`` naming a job file; the conversation is described in
:mod:`pytest_llem.runners.messages`. Exit status: 0 closed by the host, 1 an error was reported, 3 the host was lost,
143 ended by SIGTERM.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from pytest_llem.backends.base import Backend, Engine
from pytest_llem.backends.registry import get_backend
from pytest_llem.datasets.prompts import PromptSet, make_prompts
from pytest_llem.errors import LlemError, RunnerError
from pytest_llem.runners.job import WorkerJob, read_job, write_worker_result
from pytest_llem.runners.messages import CONFIG_VARIABLE, PROTOCOL_VERSION
from pytest_llem.runners.worker_link import Dismissed, HostLink
from pytest_llem.runners.worker_result import PeakMemory, PromptReport, Span, WorkerResult
from pytest_llem.runners.worker_windows import Workload, run_window, warm_up
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.version import __version__


class Worker:
    """Serves one host, one experiment after another; keeps the engine for those that can share it."""

    def __init__(self, host: HostLink) -> None:
        self._host = host
        self._engine: Engine | None = None
        self._engine_key: tuple[str, ...] = ()
        self._load = Span(start=0.0, end=0.0)

    def serve(self, job_path: Path) -> None:
        """Run the job, then those that the host names, until it says ``close``."""
        folder = job_path.parent
        with contextlib.suppress(Dismissed):
            while True:
                self._run(read_job(job_path), job_path.parent)
                order = self._host.wait("experiment")
                job_path = folder / str(order["job"])

    def close(self) -> None:
        """Free the device. What goes wrong here is logged and harms no result: results are out."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            try:
                engine.close()
            except Exception:
                traceback.print_exc()

    def _run(self, job: WorkerJob, folder: Path) -> None:
        if job.protocol != PROTOCOL_VERSION:
            raise RunnerError(f"the host speaks protocol {job.protocol}, this worker speaks {PROTOCOL_VERSION}")
        if job.base_folder is not None:
            os.chdir(job.base_folder)
        config = job.experiment
        self._host.send("phase", phase="loading", text=config.model.id)
        backend = get_backend(config.backend)
        backend.check(config)
        prompts = _prompts(backend, config)
        engine, reused = self._ready_engine(backend, job)
        self._host.send("loaded", facts=asdict(engine.facts))
        self._host.wait("go")
        work = Workload(engine, prompts.token_ids, config)
        self._host.send("phase", phase="warmup", text="")
        warmup = warm_up(work, self._say_warmup)
        windows, hashes = [], set()
        for number in range(1, config.measure.repeats + 1):
            self._host.send("ready", window=number)
            self._host.wait("go")
            window, seen = run_window(work)
            self._host.send("window", window=number, start=window.start, end=window.end)
            windows.append(window)
            hashes |= seen
        result = WorkerResult(
            facts=engine.facts,
            versions={**_versions(), **engine.facts.versions},
            load=self._load,
            engine_reused=reused,
            warmup=warmup,
            windows=tuple(windows),
            output_hash=min(hashes),
            prompts=PromptReport(n=len(prompts.token_ids), cut=prompts.cut, hash=prompts.hash),
            peak_memory=PeakMemory(bytes=engine.peak_memory_bytes(), how=engine.peak_memory_how),
            notes=_notes(engine, reused, len(hashes)),
        )
        write_worker_result(folder / job.result, result)
        self._host.send("result", file=job.result)

    def _ready_engine(self, backend: Backend, job: WorkerJob) -> tuple[Engine, bool]:
        """The engine that this experiment needs, and whether it had been loaded before."""
        key = (backend.name, backend.engine_key(job.experiment), job.base_folder or "")
        if self._engine is not None and key == self._engine_key:
            return self._engine, True
        self.close()
        start = time.monotonic()
        engine = backend.load(job.experiment, self._say_loading)
        engine.synchronize()
        self._engine, self._engine_key = engine, key
        self._load = Span(start=start, end=time.monotonic())
        return engine, False

    def _say_loading(self, text: str) -> None:
        self._host.send("progress", phase="loading", text=text)

    def _say_warmup(self, done: int, total: int, seconds: float) -> None:
        self._host.send("progress", phase="warmup", done=done, total=total, seconds=seconds)


def _prompts(backend: Backend, config: ExperimentConfig) -> PromptSet:
    return make_prompts(
        config,
        tokenize=lambda texts: backend.tokenize(config, texts),
        vocabulary=lambda: backend.vocabulary(config),
    )


def _notes(engine: Engine, reused: bool, outputs: int) -> tuple[str, ...]:
    notes = list(engine.facts.notes)
    if reused:
        notes.append("the engine had served an earlier experiment: peak memory includes that one")
    if outputs > 1:
        notes.append(f"passes did not all generate the same tokens: {outputs} different outputs")
    return tuple(notes)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "pytest-llem": __version__}


def _end_orderly(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the worker; returns its exit status."""
    job_file = os.environ.get(CONFIG_VARIABLE)
    if not job_file:
        print(f"{CONFIG_VARIABLE} is not set: this program is started by pytest-llem", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _end_orderly)
    job_path = Path(job_file).resolve()
    try:
        host = HostLink(job_path.parent / read_job(job_path).socket)
    except LlemError as error:
        print(error, file=sys.stderr)
        return 1
    host.send("hello", protocol=PROTOCOL_VERSION, pid=os.getpid(), versions=_versions())
    worker = Worker(host)
    try:
        worker.serve(job_path)
    except Exception as error:
        traceback.print_exc(limit=-8)
        message, hint = (error.message, error.hint) if isinstance(error, LlemError) else (str(error), None)
        host.send("error", error_type=type(error).__name__, message=message or type(error).__name__, hint=hint)
        host.part()
        return 1
    finally:
        worker.close()
        gc.freeze()  # the interpreter's last collection would walk through all of torch, for nearly a second
    return 0


if __name__ == "__main__":
    sys.exit(main())
