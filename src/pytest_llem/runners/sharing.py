"""Experiments that can share a loaded engine, put next to each other so that they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from pytest_llem.backends.registry import get_backend
from pytest_llem.study.header import Order
from pytest_llem.study.study import Cell


def engine_of(cell: Cell) -> str:
    """What two experiments have in common if one worker can run both without loading again; raises BackendError."""
    key = get_backend(cell.config.backend).engine_key(cell.config)
    return f"{cell.runner.kind} {cell.runner.image} {cell.variant_name} {cell.config.backend} {key}"


def by_engine(cells: Sequence[Cell], order: Order) -> list[Cell]:
    """``cells`` with those of one engine side by side. Cycles stay one after another, unless ``order`` mixes them
    and there are no variants to be measured in turns.

    Gaps belong to places in the order, not to cells."""
    ordered: list[Cell] = []
    mixed = order == "sequential" and not any(cell.variant for cell in cells)
    for _, stretch in groupby(cells, key=lambda cell: 0 if mixed else cell.cycle):
        engines: dict[str, list[Cell]] = {}
        for cell in stretch:
            engines.setdefault(engine_of(cell), []).append(cell)
        ordered += [cell for group in engines.values() for cell in group]
    return [
        cell if cell.gap_before_s == place.gap_before_s else replace(cell, gap_before_s=place.gap_before_s)
        for cell, place in zip(ordered, cells, strict=True)
    ]
