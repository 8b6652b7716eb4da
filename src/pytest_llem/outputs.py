"""The files that a session was asked for: baseline, JSON, Markdown, HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_llem.options import Options
from pytest_llem.results.comparison import Report
from pytest_llem.results.judgement import Runs
from pytest_llem.results.store import write_text


@dataclass(frozen=True)
class Outputs:
    """``folders``: of the runs, in the order of ``runs.studies``."""

    options: Options
    runs: Runs
    folders: tuple[Path, ...]
    report: Report | None
    failures: Sequence[str]

    def wanted(self, *, keep: bool) -> Iterator[tuple[Path, Callable[[], None]]]:
        """Each file with what writes it; that raises LlemError. ``keep``: the run is fit for a baseline."""
        options = self.options
        if options.save is not None and keep:
            yield options.save, self._save
        if options.json is not None:
            yield options.json, self._json
        if options.md is not None:
            yield options.md, self._markdown
        if options.html is not None:
            yield from self._html(options.html)

    def _save(self) -> None:
        from pytest_llem.results.baseline import write_baseline

        assert self.options.save is not None
        write_baseline(self.options.save, self.runs.baseline())

    def learn(self) -> None:
        """Remember how the figures of these GPUs vary; raises ResultError."""
        from pytest_llem.results.noise import default_folder, remember

        remember(default_folder(), self.runs.baseline(), repeats=False)

    def _json(self) -> None:
        from pytest_llem.report.study_json import study_json

        assert self.options.json is not None
        write_text(self.options.json, study_json(self.runs.studies, self.runs.over_cycles, self.report, self.failures))

    def _markdown(self) -> None:
        from pytest_llem.report.markdown import comparison_markdown, cycles_markdown, results_markdown

        assert self.options.md is not None
        compared = "" if self.report is None else comparison_markdown(self.report) + "\n"
        over_cycles = cycles_markdown(self.runs.over_cycles)
        write_text(self.options.md, compared + over_cycles + results_markdown(self.runs.results))

    def _html(self, path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
        names = [study.manifest.study for study in self.runs.studies]
        for name, folder in zip(names, self.folders, strict=True):
            own = name if names.count(name) == 1 else folder.name
            one = path if len(self.folders) == 1 else path.with_stem(f"{path.stem}-{own}")
            yield one, partial(self._page, folder, one)

    def _page(self, folder: Path, path: Path) -> None:
        from pytest_llem.report.html import render

        render(folder, path, comparison=self.report)
