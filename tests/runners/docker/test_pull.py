"""Images that are missing are fetched from a registry; this one is of the tests' own, on the loopback."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import PreflightError
from pytest_llem.runners.docker import images
from pytest_llem.runners.docker.runner import DockerRunner

from .helpers import Lab
from .test_preflight import GOOD

pytestmark = [pytest.mark.docker, pytest.mark.slow]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry(BaseHTTPRequestHandler):
    """As much of the distribution protocol as a pull of one image needs."""

    manifest: bytes
    blobs: dict[str, bytes]
    broken = False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        what = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self._send(self.manifest, MANIFEST)
        elif "/blobs/" in self.path and not self.broken:
            self._send(self.blobs[what], "application/octet-stream")
        elif self.path == "/v2/":
            self._send(b"{}", "application/json")
        else:
            self.send_error(404)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *parts: object) -> None:
        """Not to be printed between pytest's dots."""


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def described(body: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.docker.{kind}", "size": len(body), "digest": digest(body)}


@pytest.fixture
def registry(client: Any, make_image: Callable[..., str], tmp_path: Path) -> Iterator[tuple[str, type[Registry]]]:
    """An image's name in a registry that has it, while the engine has it not; and the registry."""
    tag = make_image("result", **GOOD)
    with (tmp_path / "image.tar").open("wb") as file:
        file.writelines(client.images.get(tag).save())
    client.images.remove(tag, force=True)
    with tarfile.open(tmp_path / "image.tar") as archive:
        member = archive.extractfile

        def read(name: str) -> bytes:
            opened = member(name)
            assert opened is not None
            return opened.read()

        [parts] = json.loads(read("manifest.json"))
        config, layers = read(parts["Config"]), [read(name) for name in parts["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(config, "container.image.v1+json"),
        "layers": [described(layer, "image.rootfs.diff.tar") for layer in layers],
    }
    blobs = {digest(blob): blob for blob in (config, *layers)}
    handler = type("OneRegistry", (Registry,), {"manifest": json.dumps(manifest).encode(), "blobs": blobs})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = f"127.0.0.1:{server.server_port}/team/worker:1"
    yield name, handler
    server.shutdown()
    server.server_close()
    if client.images.list(filters={"reference": name}):
        client.images.remove(name, force=True)


def preflight(place: Lab, notify: Callable[[str], None]) -> None:
    settings = place.settings(mounts=(), environment={}, worker="pytest_llem.runners.worker")
    DockerRunner(settings, {"DOCKER_HOST": place.host}, notify).preflight(place.launch("result"))


def test_a_missing_image_is_pulled_and_it_is_said(
    lab: Callable[..., Lab], client: Any, registry: tuple[str, type[Registry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "NOTIFY_EVERY_S", 0.0)
    image, _ = registry
    told: list[str] = []
    preflight(lab(images={"pytorch": image}), told.append)
    assert client.images.get(image).labels["org.pytest-llem.protocol"] == "1"
    assert told[0] == f"pulling {image}; this may take minutes"
    assert told[-1] == f"pulling {image}: 2 of 2 layers are here"


def test_a_pull_that_breaks_off_is_told(lab: Callable[..., Lab], registry: tuple[str, type[Registry]]) -> None:
    image, served = registry
    served.broken = True
    with pytest.raises(PreflightError, match="could not be pulled"):
        preflight(lab(images={"pytorch": image}), lambda text: None)
