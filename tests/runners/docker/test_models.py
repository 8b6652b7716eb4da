"""Models and prompts in containers: folders anywhere on the host, the hub's cache, and the hub itself."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.backends.models import model_folder

from ..test_hub import COMMIT
from .test_real_worker import run_study

pytestmark = [pytest.mark.docker, pytest.mark.slow]
STUDY = """
llem: 1
model: {id: %s, dtype: float32}
dataset: {source: %s, n: 2}
max_output_tokens: 6
measure: {warmup: 0, repeats: 1, min_window_s: 0.1}
"""
NAME = "somebody/small"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as serves the files of one model."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *parts: object) -> None:
        """Not to be printed between pytest's dots."""

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        type(self).asked.append(path)
        resolve = f"/{NAME}/resolve/"
        file = self.folder / path.rpartition("/")[2]
        if path.startswith(resolve) and file.is_file():
            self._send(200, file.read_bytes())
        elif path.startswith(f"/api/models/{NAME}") and "/tree/" in path:
            self._send(200, b"[]")
        elif path.startswith(f"/api/models/{NAME}"):
            files = [{"rfilename": one.name} for one in self.folder.iterdir()]
            self._send(200, json.dumps({"id": NAME, "sha": COMMIT, "siblings": files}).encode())
        else:
            self._send(404, b"", "EntryNotFound")

    def _send(self, status: int, body: bytes, error: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub that has the built-in small model under another name."""
    handler = type("OneHub", (Hub,), {"folder": model_folder("tiny"), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A file of prompts far from any study."""
    path = tmp_path / "far" / "prompts.jsonl"
    path.parent.mkdir()
    path.write_text('"one fine day"\n"the rain in spring"\n')
    return path


def outcome(folder: Path, model: str | Path, prompts: Path, image: str, **more: str) -> dict[str, Any]:
    environment = {"LLEM_IMAGE_PYTORCH": image, "HF_HUB_CACHE": str(folder.parent / "cache"), **more}
    _, results = run_study(folder, "docker", STUDY % (model, prompts), **environment)
    [result] = results.values()
    return result


def test_a_folder_and_prompts_outside_of_the_study(worker_image: str, prompts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.parent.mkdir()
    folder.mkdir()
    for file in model_folder("tiny").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    theirs = outcome(tmp_path / "built-in", "tiny", prompts, worker_image)
    mine = outcome(tmp_path / "study", folder, prompts, worker_image)
    assert mine["output_hash"] == theirs["output_hash"]
    assert mine["prompt_hash"] == theirs["prompt_hash"]


def test_a_model_is_downloaded_once_and_needs_no_network_then(
    worker_image: str, prompts: Path, tmp_path: Path, hub: str
) -> None:
    how = {"HF_ENDPOINT": hub, "LLEM_DOCKER_NETWORK": "host", "HF_HUB_DISABLE_XET": "1"}
    first = outcome(tmp_path / "first", NAME, prompts, worker_image, **how)
    cached = tmp_path / "cache" / "models--somebody--small" / "snapshots" / COMMIT
    assert (cached / "model.safetensors").exists()
    second = outcome(tmp_path / "second", NAME, prompts, worker_image, HF_ENDPOINT="http://127.0.0.1:9")
    assert second["output_hash"] == first["output_hash"]
