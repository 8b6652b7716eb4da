"""The folders of a run: made before its first item, or found again where a run is gone on with."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.nodes import StudyFile, StudyItem
from pytest_llem.options import options_of
from pytest_llem.results.resume import folder_of, stored
from pytest_llem.results.run import begin
from pytest_llem.results.store import RunFolder
from pytest_llem.version import __version__
from pytest_llem.watched import planned_key


def prepare(items: Iterable[pytest.Item], config: pytest.Config, stamp: str) -> None:
    """Make one run folder for each study that has items; every xdist worker of a run comes to the same folders.

    Raises pytest.UsageError where a folder cannot be made or written to."""
    by_file: dict[StudyFile, list[StudyItem]] = {}
    for item in items:
        if isinstance(item, StudyItem) and isinstance(item.parent, StudyFile):
            by_file.setdefault(item.parent, []).append(item)
    config.stash[planned_key] = tuple(item.cell for own in by_file.values() for item in own)
    options = options_of(config)
    names: dict[str, int] = {}
    try:
        for file, own in by_file.items():
            names[file.study.name] = number = names.get(file.study.name, 0) + 1
            suffix = "" if number == 1 else f"-{number}"  # two studies of one name in one run
            known = folder_of(options.results, stamp, file.study) if options.resume else None
            file.folder = known or RunFolder.create(options.results, file.study.name, stamp + suffix)
            begin(file.folder, file.study, {item.nodeid: item.cell for item in own}, __version__)
            _set_out(file, own, resumed=known is not None)
    except ResultError as error:
        raise pytest.UsageError(str(error)) from None


def _set_out(file: StudyFile, items: list[StudyItem], *, resumed: bool) -> None:
    """What the items are to know: results there are from before, and when the study's time is up."""
    if resumed:
        found = ((item.cell.id, stored(file.folder, item.cell)) for item in items)
        file.stored = {name: result for name, result in found if result is not None}
    if (limit_s := file.study.execution.study_timeout_s) is not None:
        file.deadline = time.monotonic() + limit_s
