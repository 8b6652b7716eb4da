"""What is gathered from a run's folder, whole or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.report.html.background import devices, notes
from pytest_llem.report.html.data import gather
from tests.report.html.make_run import make_run


def test_outcomes_flags_and_files(tmp_path: Path):
    data = gather(make_run(tmp_path / "run", 50))
    cells = {cell.entry.cell_id: cell for cell in data.cells}
    assert len(cells) == 50
    assert [cell.outcome for cell in data.cells[-4:]] == ["failed", "error", "skipped", "pending"]
    undecided = data.cells[7]
    assert (undecided.entry.status, undecided.outcome) == ("passed", "inconclusive")
    assert [i for i, cell in enumerate(data.cells) if cell.estimated] == [13]
    assert [i for i, cell in enumerate(data.cells) if cell.invalid] == [30]
    assert dict(data.cells[0].files)["trace.json.gz"] == f"{data.cells[0].entry.cell_id}/trace.json.gz"
    assert data.cells[-1].files == ()


def test_devices_notes_and_environment(tmp_path: Path):
    data = gather(make_run(tmp_path / "run", 50))
    gpu, cpu = devices(data.cells)
    assert (gpu.last.name, len(gpu.uses), gpu.driver, gpu.hottest_c) == ("NVIDIA H200", 45, "580.159.04", 58.0)
    assert (cpu.last.name, len(cpu.uses), cpu.last.power_limit_w) == ("CPU (estimate)", 1, None)
    assert (gpu.throttled, cpu.throttled) == ("none seen", "–"), "who reads no reasons has seen nothing"
    reasons = {note.code: note for note in dict(notes(data.cells))["Reason codes"]}
    assert (reasons["sources_disagree"].invalid, reasons["sources_disagree"].flag) == (1, "INVALID")
    assert (reasons["estimated_energy"].invalid, reasons["estimated_energy"].flag) == (0, "ESTIMATED")
    assert all(note.text for note in reasons.values()), "each has its meaning"
    assert ("gpus[0].name", "NVIDIA H200") in data.environment
    assert not [key for key, _ in data.environment if key == "host.container"], "what is null says nothing"


def test_damage_is_told_and_does_not_spread(tmp_path: Path):
    run = make_run(tmp_path / "run", 12)
    first, second = sorted(path.parent for path in run.glob("*/result.json"))[:2]
    (first / "result.json").write_text("{")
    (second / "trace.json.gz").write_bytes(b"")
    (run / "environment.json").unlink()
    data = gather(run)
    cells = {cell.entry.cell_id: cell for cell in data.cells}
    assert cells[first.name].outcome == "error"
    assert "cannot be read as a result" in (cells[first.name].problem or "")
    assert cells[second.name].power is None
    assert cells[second.name].result is not None
    assert data.environment == ()


def test_no_manifest_is_an_error(tmp_path: Path):
    with pytest.raises(ResultError, match="there is no run here"):
        gather(tmp_path)
