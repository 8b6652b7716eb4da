"""Every study in the documentation, in the README and under examples/ can be loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_llem.study.load import load_study
from pytest_llem.study.runner import Overrides
from tests.docs.pages import DOCS, ROOT, fenced

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCKS = [(page, line, text) for page in PAGES for line, text in fenced(page, "yaml")]
STUDIES = [(page, line, text) for page, line, text in BLOCKS if text.startswith("llem: 1")]
NAMED = re.compile(r"# (\S+\.yaml)\n")  # a block that begins so is the file of that name, beside the page's studies
SHOWN = sorted(path for path in (ROOT / "examples").rglob("*.*") if path.suffix in (".yaml", ".yml", ".py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize(("page", "line", "text"), STUDIES, ids=[f"{p.stem}:{line}" for p, line, _ in STUDIES])
def test_a_study_of_the_documentation_loads(page: Path, line: int, text: str, tmp_path: Path) -> None:
    for other, _, content in BLOCKS:
        if other == page and (name := NAMED.match(content)):
            (tmp_path / name[1]).write_text(content)
    (tmp_path / "prompts.jsonl").touch()
    study = tmp_path / "study.yaml"
    study.write_text(text)
    assert load_study(study, overrides=Overrides(environment={})).cells


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_and_says_what_it_shows(path: Path) -> None:
    study = load_study(path, overrides=Overrides(environment={}))
    assert len(study.cells) > 1
    assert study.description
    assert not study.left_out


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_an_example_begins_with_what_it_is_for(path: Path) -> None:
    assert re.match(r'(# |""")[A-Z].{40,}', path.read_text())


def test_every_block_of_yaml_is_a_study_or_a_file_that_one_names() -> None:
    others = [(page, line, text) for page, line, text in BLOCKS if not text.startswith("llem: 1")]
    assert others
    for page, line, text in others:
        name = NAMED.match(text)
        assert name, f"{page.name}:{line}"
        assert any(name[1] in study for other, _, study in STUDIES if other == page), f"{page.name}:{line}"


def test_the_readme_has_a_study() -> None:
    assert any(page.name == "README.md" for page, _, _ in STUDIES)
