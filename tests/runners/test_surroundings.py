"""What a run says of the machine and the libraries that its results come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llem.errors import RunChanged
from pytest_llem.results.store import RunFolder
from pytest_llem.runners.surroundings import Surroundings
from pytest_llem.study.load import study_from_mapping
from tests.results.samples import make_result


def test_each_backend_has_an_environment_of_its_own(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "study", "stamp")
    run = Surroundings(lambda added: None, print)
    torch = run.of(folder, tmp_path, {"torch": "2.8"})
    vllm = run.of(folder, tmp_path, {"torch": "2.9", "vllm": "0.12"})
    assert torch == run.of(folder, tmp_path, {"torch": "2.8"})
    assert vllm != torch
    written = [json.loads(path.read_text()) for path in folder.path.glob("environment*.json")]
    assert {each["environment_hash"] for each in written} == {torch, vllm}


def test_cycles_of_an_experiment_with_other_prompts_are_refused_or_told(tmp_path: Path) -> None:
    cell = study_from_mapping({"llem": 1, "model": "tiny", "execution": {"cycles": 2}}, name="s").cells[1]
    folder = RunFolder.create(tmp_path, "s", "stamp")
    same, other = cell.id.replace("-c2", "-c1"), cell.id.replace("-c2", "-compiled-c1")
    folder.write_result(make_result(cell_id=same, config_hash=cell.config_hash, prompt_hash="before"))
    folder.write_result(make_result(cell_id=other, config_hash="0" * 16, prompt_hash="of its own"))
    told: list[str] = []
    strict, lenient = (Surroundings(lambda found: None, told.append, accept_changes=accept) for accept in (False, True))
    strict.check_prompts(folder, cell, "before")
    with pytest.raises(RunChanged, match=r"-c2 got other prompts than .*-c1"):
        strict.check_prompts(folder, cell, "now")
    lenient.check_prompts(folder, cell, "now")
    assert len(told) == 1
