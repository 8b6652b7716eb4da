"""The one line that tells, out of what vLLM's processes raise and print when they fail."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from pytest_llem.backends.vllm.reasons import hint, reason

POINTER = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


def error_lines(process: str, where: str, *text: str) -> list[str]:
    return [f"({process}) ERROR 11-23 07:10:39 [{where}] {line}" for line in text]


def test_an_exception_that_tells_is_the_reason() -> None:
    log = error_lines("EngineCore pid=1", "core.py:1", "ValueError: something else")
    assert reason(TypeError("unexpected keyword argument 'foo'"), log) == "TypeError: unexpected keyword argument 'foo'"


def test_of_a_chain_the_outermost_that_tells_is_taken() -> None:
    pointer = RuntimeError("failed, see stack trace")
    pointer.__cause__ = ValueError("unknown model")
    pointer.__cause__.__cause__ = KeyError("x")
    assert reason(pointer, []) == "ValueError: unknown model"


def test_pydantics_wrapping_is_taken_off() -> None:
    class Options(BaseModel):
        @model_validator(mode="after")
        def _refuse(self) -> Options:
            raise ValueError("max_model_len (4) is too small.")

    with pytest.raises(ValidationError) as caught:
        Options()
    assert reason(caught.value, []) == "max_model_len (4) is too small."


def test_the_first_process_to_fail_knows_why() -> None:
    log = [
        "(EngineCore pid=7) INFO 11-23 07:10:30 [core.py:123] Initializing",
        *error_lines(
            "Worker pid=8",
            "multiproc_executor.py:944",
            "WorkerProc failed to start.",
            "Traceback (most recent call last):",
            '  File "worker.py", line 1, in load',
            "KeyError: 'head'",
            "",
            "The above exception was the direct cause of the following exception:",
            "Traceback (most recent call last):",
            "vllm.errors.LoadError: no weights for head",
            "  try another checkpoint",
        ),
        *error_lines(
            "EngineCore pid=7",
            "core.py:1366",
            "EngineCore failed to start.",
            "Exception: WorkerProc initialization failed due to an exception in a background process.",
        ),
    ]
    assert reason(POINTER, log) == "LoadError: no weights for head try another checkpoint"


def test_a_line_that_only_points_to_another_is_passed_over() -> None:
    log = error_lines(
        "EngineCore pid=7",
        "core.py:1",
        "ValueError: No available memory for the cache blocks.",
        "RuntimeError: Worker failed, please check the stack trace above for the root cause",
    )
    found = reason(POINTER, log)
    assert found == "ValueError: No available memory for the cache blocks."
    assert "gpu_memory_utilization" in (hint(found) or "")


def test_a_killed_process_is_named_with_its_signal() -> None:
    found = reason(POINTER, ["nothing of use"], [(12, None), (34, -9)])
    assert found == "the engine's process 34 was ended by SIGKILL"
    assert "memory" in (hint(found) or "")
    assert reason(POINTER, [], [(34, 3)]) == "the engine's process 34 ended with status 3"


def test_without_a_traceback_the_first_error_line_has_to_do() -> None:
    log = error_lines("EngineCore pid=7", "multiproc_executor.py:300", "Worker proc VllmWorker-0 died unexpectedly")
    assert reason(POINTER, log) == "Worker proc VllmWorker-0 died unexpectedly"


def test_with_nothing_else_the_exception_itself_is_told() -> None:
    assert reason(POINTER, []) == f"RuntimeError: {POINTER}"
    assert hint("nothing known") is None
