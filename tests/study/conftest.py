"""What the tests of studies share: a folder for study files, loaded without anything around them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.errors import StudyError
from pytest_llem.study.load import load_study
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Study

Load = Callable[..., Study]
Wrong = Callable[[str], list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Load:
    """Write a study file and load it; ``llem: 1`` and ``model: tiny`` are put on top, on its first line."""

    def loaded(text: str, **overrides: object) -> Study:
        path = folder / "study.yaml"
        path.write_text("{llem: 1, model: tiny}\n" if not text else "llem: 1\nmodel: tiny\n" + textwrap.dedent(text))
        overrides.setdefault("environment", {})
        return load_study(path, overrides=Overrides(**overrides))  # type: ignore[arg-type]  # a test's own keywords

    return loaded


@pytest.fixture
def wrong(folder: Path) -> Wrong:
    """The lines of the error that a study file raises."""

    def lines(text: str | bytes) -> list[str]:
        path = folder / "bad.yaml"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        with pytest.raises(StudyError) as caught:
            load_study(path, overrides=Overrides(environment={}))
        return str(caught.value).splitlines()

    return lines


@pytest.fixture
def instant_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's backend, registered as an installer registers it."""
    metadata = tmp_path / "site" / "instant-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest_llem.backends]\ninstant = nowhere:Instant\n")
    monkeypatch.syspath_prepend(str(metadata.parent))
