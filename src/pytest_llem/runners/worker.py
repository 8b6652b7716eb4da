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
from pytest_llem.datasets.prompts import make_prompts
from pytest_llem.errors import LlemError, RunnerError
from pytest_llem.runners import job
from pytest_llem.runners.job import WorkerJob, WorkerResult
from pytest_llem.runners.messages import CONFIG_VARIABLE, PROTOCOL_VERSION
from pytest_llem.runners.worker_link import Dismissed, HostLink
from pytest_llem.runners.worker_windows import collector_at_rest, run_window, warm_up
from pytest_llem.version import __version__

_VERSIONS = {"python": platform.python_version(), "pytest-llem": __version__}


class Worker:
    """Serves one host, one experiment after another; keeps the engine for those that can share it."""

    def __init__(self, host: HostLink) -> None:
        self._host = host
        self._engine: Engine | None = None
        self._engine_key: tuple[str, ...] = ()
        self._load_start = 0.0

    def serve(self, order: WorkerJob, folder: Path) -> None:
        """Run this job, then those in ``folder`` that the host names, until it says ``close``."""
        with contextlib.suppress(Dismissed):
            while True:
                self._run(order, folder)
                order = job.read(folder / str(self._host.wait("experiment")["job"]), WorkerJob)

    def close(self) -> None:
        """Free the device. What goes wrong here is logged and harms no result: results are out."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            try:
                engine.close()
            except Exception:
                traceback.print_exc()

    def _run(self, order: WorkerJob, folder: Path) -> None:
        if order.protocol != PROTOCOL_VERSION:
            raise RunnerError(f"the host speaks protocol {order.protocol}, this worker speaks {PROTOCOL_VERSION}")
        if order.base_folder is not None:
            os.chdir(order.base_folder)
        config = order.experiment
        self._host.send("phase", phase="loading", text=config.model.id)
        backend = get_backend(config.backend)
        backend.check(config)
        prompts = make_prompts(
            config, lambda texts: backend.tokenize(config, texts), lambda: backend.vocabulary(config)
        )
        engine, notes = self._ready_engine(backend, order)
        self._host.send("loaded", facts=asdict(engine.facts))
        self._host.wait("go")
        self._host.send("phase", phase="warmup", text="")
        warmup = warm_up(engine, prompts.token_ids, config, self._say_warmup)
        windows, hashes = [], set()
        with collector_at_rest():
            for number in range(1, config.measure.repeats + 1):
                gc.collect()  # what the window before left; all else is frozen
                self._host.send("ready", window=number)
                self._host.wait("go")
                window, seen = run_window(engine, prompts.token_ids, config)
                self._host.send("window", window=number, start=window.start, end=window.end)
                windows.append(window)
                hashes |= seen
        if len(hashes) > 1:
            notes.append(f"passes did not all generate the same tokens: {len(hashes)} different outputs")
        result = WorkerResult(
            facts=engine.facts,
            versions={**_VERSIONS, **engine.facts.versions},
            load_start=self._load_start,
            warmup=warmup,
            windows=tuple(windows),
            output_hash=min(hashes),
            prompts=len(prompts.token_ids),
            prompts_cut=prompts.cut,
            prompt_hash=prompts.hash,
            peak_memory_bytes=engine.peak_memory_bytes(),
            memory_source=engine.peak_memory_how,
            notes=tuple(notes),
        )
        job.write(folder / order.result, result)
        self._host.send("result", file=order.result)

    def _ready_engine(self, backend: Backend, order: WorkerJob) -> tuple[Engine, list[str]]:
        """The engine that this experiment needs, and what its user should know of it."""
        config = order.experiment
        key = (backend.name, backend.engine_key(config), order.base_folder or "")
        if self._engine is not None and key == self._engine_key:
            reused = "the engine had served an earlier experiment: peak memory includes that one"
            return self._engine, [*self._engine.facts.notes, reused]
        self.close()
        self._load_start = time.monotonic()
        engine = backend.load(config, lambda text: self._host.send("progress", phase="loading", text=text))
        engine.synchronize()
        self._engine, self._engine_key = engine, key
        return engine, list(engine.facts.notes)

    def _say_warmup(self, done: int, total: int, seconds: float) -> None:
        self._host.send("progress", phase="warmup", done=done, total=total, seconds=seconds)


def _end_orderly(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the worker; returns its exit status."""
    if not os.environ.get(CONFIG_VARIABLE):
        print(f"{CONFIG_VARIABLE} is not set: this program is started by pytest-llem", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _end_orderly)
    job_path = Path(os.environ[CONFIG_VARIABLE]).resolve()
    try:
        order = job.read(job_path, WorkerJob)
        host = HostLink(job_path.parent)
    except LlemError as error:
        print(error, file=sys.stderr)
        return 1
    host.send("hello", protocol=PROTOCOL_VERSION, pid=os.getpid(), versions=_VERSIONS)
    worker = Worker(host)
    try:
        worker.serve(order, job_path.parent)
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
