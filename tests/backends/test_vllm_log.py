"""Errors that vLLM's processes log are heard by the one that started them, whatever logging the user wants besides."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llem.backends.vllm.log import ErrorLog, ReasonFile
from tests.backends.vllm_case import require_vllm

FAIL = """
from vllm.logger import init_logger
logger = init_logger("vllm.somewhere")
logger.info("all is well")
try:
    raise ValueError("no weights for head")
except ValueError as error:
    logger.exception("failed to start")
logger.error("and more")
"""
HEARD = [("ValueError: no weights for head", "failed to start"), (None, "and more")]


def test_a_line_for_each_error_and_none_for_a_warning(tmp_path: Path) -> None:
    logger = logging.Logger("one")
    logger.addHandler(ReasonFile(str(tmp_path / "errors")))
    logger.warning("careful")
    try:
        raise RuntimeError("see the stack trace") from KeyError("head")
    except RuntimeError:
        logger.exception("it\nfailed")
    assert [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()] == [
        ["KeyError: 'head'", "it\nfailed"]
    ]


def test_an_error_that_cannot_be_written_harms_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("one")
    logger.addHandler(ReasonFile(str(tmp_path / "no" / "errors")))
    logger.error("failed %d", "not a number")
    logger.error("failed")
    assert "Logging error" in capsys.readouterr().err


def test_half_a_line_of_a_killed_process_is_passed_over() -> None:
    log = ErrorLog()
    logger = logging.Logger("one")
    logger.addHandler(ReasonFile(str(log._path)))
    logger.error("whole")
    with log._path.open("a") as file:
        file.write('["ValueError: no wei')
    assert log.errors() == [(None, "whole")]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> ErrorLog:
    require_vllm()
    monkeypatch.delenv("VLLM_LOGGING_CONFIG_PATH", raising=False)
    return ErrorLog()


def fail_in_another_process() -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FAIL], env=environment, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.vllm
def test_another_process_is_heard_and_its_own_log_goes_on(log: ErrorLog) -> None:
    with log.listening():
        printed = fail_in_another_process()
    fail_in_another_process()  # after that, nobody listens
    assert log.errors() == HEARD
    assert "all is well" in printed
    assert "Traceback" in printed


@pytest.mark.vllm
def test_the_users_own_logging_is_kept(log: ErrorLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "mine")}
    mine = {"version": 1, "handlers": {"mine": handler}, "loggers": {"vllm": {"handlers": ["mine"], "level": "INFO"}}}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    monkeypatch.setenv("VLLM_LOGGING_CONFIG_PATH", str(tmp_path / "mine.json"))
    with log.listening():
        fail_in_another_process()
    assert log.errors() == HEARD
    assert os.environ["VLLM_LOGGING_CONFIG_PATH"] == str(tmp_path / "mine.json")
    assert (tmp_path / "mine").read_text().startswith("all is well")


@pytest.mark.vllm
def test_a_forked_process_is_heard_too(log: ErrorLog) -> None:
    with log.listening():
        child = os.fork()
        if child == 0:
            logging.getLogger("vllm").error("from a child")
            os._exit(0)
        os.waitpid(child, 0)
    logging.getLogger("vllm").error("after that, nobody listens")
    assert log.errors() == [(None, "from a child")]


@pytest.mark.vllm
def test_who_wants_no_logging_configured_gets_none(log: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CONFIGURE_LOGGING", "0")
    with log.listening():
        fail_in_another_process()
    assert log.errors() == []
