"""The layers on the page are those that import-linter holds."""

from __future__ import annotations

import tomllib

from tests.docs.pages import DOCS, ROOT, codes, table


def test_the_layers_are_those_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    held = [sorted(name.strip().removeprefix("pytest_llem.") for name in row.split("|")) for row in contract["layers"]]
    told = table(DOCS / "architecture.md", "## Layers: imports point down only")
    assert [sorted(codes(modules)) for modules, _ in told] == held
