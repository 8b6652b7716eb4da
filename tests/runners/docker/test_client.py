"""What engines of different ages say, and what is made of it."""

from __future__ import annotations

import pytest

from pytest_llem.runners.docker.client import explain


class EngineError(Exception):
    """As the SDK's: the engine's own words are in ``explanation``."""

    def __init__(self, explanation: str) -> None:
        super().__init__("500 Server Error for http+docker://localhost/v1.41/containers/abc/start")
        self.explanation = explanation


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "cannot give a container the GPU"),
        ('could not select device driver "cdi" with capabilities: []', "cannot give a container the GPU"),
        ("Unknown runtime specified nvidia", "cannot give a container the GPU"),
        ("unknown or invalid runtime name: nvidia", "cannot give a container the GPU"),
        ("failed to discover GPU vendor from CDI: no known GPU vendor found", "cannot give a container the GPU"),
        (
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
            "cannot give a container the GPU",
        ),
        ("No such image: vllm:1", "the image is missing"),
        ("manifest for vllm:1 not found: manifest unknown: manifest unknown", "the image is missing"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "the image is missing"),
        (
            'invalid mount config for type "bind": bind source path does not exist: /model',
            "does not see a folder",
        ),
        ("failed to copy files: write /var/lib/docker/x: no space left on device", "the disk is full"),
        ("network bridge not found", "no such network"),
        ("('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))", "went away"),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))", "went away"),
    ],
)
def test_causes(said: str, cause: str) -> None:
    error = explain(EngineError(said), "starting")
    assert error.message.startswith("starting: ")
    assert cause in error.message
    assert said in error.message
    assert error.hint


def test_what_is_not_known_is_told_as_it_is() -> None:
    error = explain(EngineError("the moon is too bright"), "starting")
    assert (error.message, error.hint) == ("starting: the moon is too bright", None)
