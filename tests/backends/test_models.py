"""Built-in models: the same bytes every time, made once, safe for two at once, and of the published sizes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_llem.backends import models, tiny
from pytest_llem.errors import BackendError
from pytest_llem.study.pytorch import SHAPES

WEIGHTS = "a1e14f0c50910338e0f285a66f735f2935369a357baf7093b5d19ea4305c4e91"  # sha256
PUBLISHED_PARAMETERS = {  # the model cards' exact counts
    "llama-1b": 1_235_814_400,
    "llama-8b": 8_030_261_248,
    "qwen2.5-0.5b": 494_032_768,
}


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_tiny_is_the_same_bytes_in_another_folder_and_another_process(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    began = time.monotonic()
    tiny.write(tmp_path / "a")
    assert time.monotonic() - began < 5
    program = "import sys, pathlib; from pytest_llem.backends import tiny; tiny.write(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "b")], check=True, timeout=30)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert len(digests(tmp_path / "a")) == 5


def test_the_weights_are_these_and_no_others(tmp_path: Path) -> None:
    """Energy figures of two machines are comparable only if both ran this model: a change needs a new VERSION."""
    tiny.write(tmp_path)
    weights = digests(tmp_path)["model.safetensors"]
    assert (tiny.VERSION, weights) == (1, WEIGHTS)


def test_tiny_has_about_four_million_random_weights_that_transformers_reads(tmp_path: Path) -> None:
    from safetensors import safe_open

    tiny.write(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    assert 3.5e6 < sum(tensor.numel() for tensor in tensors.values()) < 4.5e6
    matrix = tensors["model.layers.2.mlp.up_proj.weight"]
    assert abs(float(matrix.mean())) < 1e-3
    assert float(matrix.std()) == pytest.approx(0.04, rel=0.01)
    assert float(tensors["model.norm.weight"].min()) == 1.0


def test_the_special_tokens_follow_the_text_s() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models.model_folder("tiny"))
    assert len(tokenizer) == tiny.TEXT_VOCABULARY + 3
    assert [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id] == [1021, 1022, 1023]


def test_a_built_in_model_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = models.model_folder("tiny")
    stamp = (first / "config.json").stat().st_mtime_ns
    assert models.model_folder("tiny") == first == tmp_path / "pytest-llem" / "models" / "tiny-v1"
    assert (first / "config.json").stat().st_mtime_ns == stamp
    assert [path.name for path in first.parent.iterdir()] == ["tiny-v1"]


def test_processes_that_make_it_at_the_same_time_all_get_it_whole(tmp_path: Path) -> None:
    program = "from pytest_llem.backends import models; print(len(list(models.model_folder('tiny').iterdir())))"
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    together = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) for _ in range(3)
    ]
    assert [process.communicate(timeout=30)[0].strip() for process in together] == [b"5"] * 3
    assert [path.name for path in (tmp_path / "pytest-llem" / "models").iterdir()] == ["tiny-v1"]


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(BackendError, match="cannot be written") as caught:
        models.model_folder("tiny")
    assert caught.value.hint is not None
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(BackendError, match="no home folder") as caught:
        models.model_folder("tiny")
    assert caught.value.hint == "set XDG_CACHE_HOME to a folder that can be written"


def test_every_shape_that_a_study_may_name_is_here_and_no_other() -> None:
    folders = {file.parent.name for file in models.model_folder("shape:llama-1b").parent.glob("*/config.json")}
    assert folders - {"tiny"} == set(SHAPES)


@pytest.mark.parametrize(
    ("model_id", "hint"),
    [("tinny", "did you mean tiny?"), ("Qwen/Qwen9", "a hub id such as"), ("./mine", None), ("shape:llama-1b", None)],
)
def test_a_name_that_no_library_knows_gets_a_hint(model_id: str, hint: str | None) -> None:
    found = models.id_hint(model_id)
    assert found is None if hint is None else hint in str(found)


def test_a_folder_that_is_not_there_is_never_taken_for_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match=r"there is no model folder \./mine") as caught:
        models.model_source("./mine")
    assert caught.value.hint == f"looked from {tmp_path}"


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_published_number_of_parameters(name: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(models.model_folder(f"shape:{name}"))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sum(weight.numel() for weight in model.parameters()) == PUBLISHED_PARAMETERS[name]
    assert model.dtype == torch.bfloat16
    assert config.rope_parameters["rope_type"] == ("default" if name.startswith("qwen") else "llama3")


def test_what_libraries_are_given() -> None:
    assert models.model_source("meta-llama/Llama-3.2-1B") == "meta-llama/Llama-3.2-1B"
    assert models.model_source("~") == str(Path.home())
    assert Path(models.model_source("tiny"), "tokenizer.json").is_file()
    vocabularies = {"tiny": tiny.TEXT_VOCABULARY, "shape:llama-8b": 128_000, "shape:qwen2.5-0.5b": 151_643}
    assert {name: models.prompt_vocabulary(name) for name in vocabularies} == vocabularies
    assert [models.has_random_weights(name) for name in ("tiny", "shape:llama-1b", "gpt2")] == [True, True, False]
