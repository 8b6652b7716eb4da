"""The one line that tells, out of what vLLM's processes raise and print when they fail."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from pytest_llem.backends.vllm.reasons import hint, reason, told_by

POINTER = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


def test_an_exception_that_tells_is_the_reason() -> None:
    logged = [("ValueError: something else", "EngineCore failed to start.")]
    assert (
        reason(TypeError("unexpected keyword argument 'foo'"), logged) == "TypeError: unexpected keyword argument 'foo'"
    )


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
    logged = [
        (None, "Worker failed to start."),
        ("LoadError: no weights for head try another checkpoint", "WorkerProc failed to start."),
        ("MemoryError: later", "EngineCore failed to start."),
    ]
    assert reason(POINTER, logged) == "LoadError: no weights for head try another checkpoint"


def test_an_exception_that_only_points_to_another_tells_nothing() -> None:
    assert told_by(RuntimeError("Worker failed, please check the stack trace above for the root cause")) is None
    assert told_by(Exception("WorkerProc initialization failed due to an exception in a background process.")) is None
    found = told_by(ValueError("No available memory for the cache blocks.\n\n  Lower something."))
    assert found == "ValueError: No available memory for the cache blocks. Lower something."
    assert "gpu_memory_utilization" in (hint(found) or "")


def test_a_killed_process_is_named_with_its_signal() -> None:
    found = reason(POINTER, [(None, "nothing of use")], [(12, None), (34, -9)])
    assert found == "the engine's process 34 was ended by SIGKILL"
    assert "memory" in (hint(found) or "")
    assert reason(POINTER, [], [(34, 3)]) == "the engine's process 34 ended with status 3"


def test_without_an_exception_the_first_error_has_to_do() -> None:
    logged = [(None, "Worker proc VllmWorker-0 died unexpectedly"), (None, "Shutting down")]
    assert reason(POINTER, logged, [(12, None), (13, 0)]) == "Worker proc VllmWorker-0 died unexpectedly"


def test_with_nothing_else_the_exception_itself_is_told() -> None:
    assert reason(POINTER, []) == f"RuntimeError: {POINTER}"
    assert hint("nothing known") is None
