"""The image built from docker/pytorch.Dockerfile runs a study as the local runner does, and keeps a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import load_plugin

from .helpers import SOURCE

pytestmark = [pytest.mark.docker, pytest.mark.slow]
TOKEN = "hf_secret_in_a_test"
STUDY = """
llem: 1
name: both
model: tiny
dataset: {n: 2, input_tokens: 8}
max_output_tokens: 8
sweep: {max_output_tokens: [4, 8]}
measure: {warmup: 1, repeats: 2, min_window_s: 0.2}
"""


def run_study(
    folder: Path, runner: str, text: str = STUDY, *arguments: str, umask: int = -1, **environment: str
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Run a study in a pytest of its own; returns what it printed and its results by cell."""
    folder.mkdir()
    (folder / "study.yaml").write_text(text)
    done = run_pytest(folder, runner, *arguments, umask=umask, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(path.read_text()) for path in folder.glob("llem-results/*/*/result.json")]
    return done.stdout + done.stderr, {result["cell_id"]: result for result in results}


def run_pytest(
    folder: Path, runner: str, *arguments: str, umask: int = -1, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *load_plugin(),
            f"--llem-runner={runner}",
            "--llem-lock-dir=locks",
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        umask=umask,
    )


@pytest.fixture(scope="module")
def both(worker_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("both")
    printed, docker = run_study(folder / "docker", "docker", LLEM_IMAGE_PYTORCH=worker_image, HF_TOKEN=TOKEN)
    _, local = run_study(folder / "local", "local")
    return {"printed": printed, "docker": docker, "local": local, "folder": folder / "docker", "image": worker_image}


def filled(result: dict[str, Any]) -> set[str]:
    return {name for name, value in result.items() if value is not None}


def test_same_cells_tokens_and_outputs(both: dict[str, Any]) -> None:
    docker, local = both["docker"], both["local"]
    assert docker.keys() == local.keys()
    assert len(docker) == 2
    for cell, there in docker.items():
        here = local[cell]
        assert there["output_hash"] == here["output_hash"]
        assert there["prompt_hash"] == here["prompt_hash"]
        for tokens in ("input_tokens", "output_tokens"):
            assert there[tokens] / there["requests"] == here[tokens] / here["requests"]


def test_the_same_figures_are_filled(both: dict[str, Any]) -> None:
    for cell, there in both["docker"].items():
        here = both["local"][cell]
        assert filled(there) == filled(here)
        assert there["energy_source"] == here["energy_source"]
        assert there["energy_j"] > 0


def test_a_shared_engine_under_a_strict_umask(both: dict[str, Any], tmp_path: Path) -> None:
    image = f"--llem-image=pytorch={both['image']}"
    _, shared = run_study(tmp_path / "shared", "docker", STUDY, image, "--llem-isolation=engine", umask=0o077)
    hashes = {cell: result["output_hash"] for cell, result in both["docker"].items()}
    assert {cell: result["output_hash"] for cell, result in shared.items()} == hashes
    assert sum("whose loaded engine it shares" in " ".join(result["warnings"]) for result in shared.values()) == 1


def test_the_result_says_where_it_ran(both: dict[str, Any]) -> None:
    for result in both["docker"].values():
        about = result["runner"]
        assert (about["runner"], about["image"], about["decided_by"]) == ("docker", both["image"], "command line")
        assert about["image_digest"].startswith("sha256:")


def test_nothing_that_is_printed_or_stored_holds_the_token(both: dict[str, Any]) -> None:
    assert TOKEN not in both["printed"]
    files = [path for path in both["folder"].rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_a_run_is_not_gone_on_with_in_another_image(both: dict[str, Any], client: Any) -> None:
    lost = next(both["folder"].glob("llem-results/*/*/result.json"))
    lost.unlink()
    other = "local/pytest-llem/other:test"
    client.images.build(fileobj=BytesIO(f"FROM {both['image']}\nLABEL other=1\n".encode()), tag=other, rm=True)
    try:
        named = f"--llem-resume={lost.parents[1].name}"
        refused = run_pytest(both["folder"], "docker", named, LLEM_IMAGE_PYTORCH=other)
        assert refused.returncode == 1
        assert f"measured on something else: image: {both['image']} → {other}; image_digest: sha256:" in refused.stdout
        assert not lost.exists()
        same = run_pytest(both["folder"], "docker", named, LLEM_IMAGE_PYTORCH=both["image"])
        assert same.returncode == 0, same.stdout
        assert lost.exists()
    finally:
        client.images.remove(other, force=True)


def test_the_image_is_not_root_and_has_no_pytest(client: Any, worker_image: str) -> None:
    configuration = client.images.get(worker_image).attrs["Config"]
    assert configuration["User"] == "65534:65534"
    assert configuration["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    program = "import importlib.util as u; print([n for n in ('pytest', 'docker', 'pytest_llem') if u.find_spec(n)])"
    output = client.containers.run(
        worker_image, ["-c", program], entrypoint="python3", network_mode="none", remove=True
    )
    assert output.decode().strip() == "['pytest_llem']"
