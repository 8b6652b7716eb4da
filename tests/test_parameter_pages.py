"""The pages of the parameters are what their generator would write, and the audit of transformers is whole."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from pytest_llem.study.pytorch import PytorchConfig

GENERATOR = Path(__file__).parent.parent / "docs" / "generate_parameters.py"
WRITER = runpy.run_path(str(GENERATOR))
PAGES: dict[Path, str] = WRITER["pages"]()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_is_up_to_date(path: Path) -> None:
    assert path.read_text() == PAGES[path], f"run: python docs/{GENERATOR.name}"


def test_every_field_of_generation_config_is_in_one_place() -> None:
    transformers = pytest.importorskip("transformers")
    fields = set(transformers.GenerationConfig().to_dict())
    exposed = fields & set(PytorchConfig.model_fields)
    audit = WRITER["AUDIT"]["GenerationConfig"]
    places = [exposed, set(audit["set"]), *map(set, audit["left out"].values())]
    assert set().union(*places) == fields
    assert sum(map(len, places)) == len(fields)
