"""What a run says of the machine and the libraries that its results come from."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_llem.results.store import RunFolder
from pytest_llem.runners.surroundings import Surroundings


def test_each_backend_has_an_environment_of_its_own(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "study", "stamp")
    run = Surroundings(lambda added: None, print)
    torch = run.of(folder, tmp_path, {"torch": "2.8"})
    vllm = run.of(folder, tmp_path, {"torch": "2.9", "vllm": "0.12"})
    assert torch == run.of(folder, tmp_path, {"torch": "2.8"})
    assert vllm != torch
    written = [json.loads(path.read_text()) for path in folder.path.glob("environment*.json")]
    assert {each["environment_hash"] for each in written} == {torch, vllm}
