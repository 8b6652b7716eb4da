"""RAPL on a fake powercap tree, laid out as Linux lays out the real one."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_llem.energy.meters.rapl import RaplMeter
from pytest_llem.errors import MeterError

RANGE_UJ = 262_143_328_850


def domain(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages; the first with core and DRAM, and a second time through memory-mapped I/O; and psys."""
    domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    domain(tmp_path, "intel-rapl:0:0", "core", 900_000)
    domain(tmp_path, "intel-rapl:0:1", "dram", 500_000)
    domain(tmp_path, "intel-rapl:1", "package-1", 2_000_000)
    domain(tmp_path, "intel-rapl:2", "psys", 9_000_000)
    domain(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    return tmp_path


def energy_j(root: Path, uuid: str) -> float:
    meter = RaplMeter(root)
    device = next(device for device in meter.devices() if device.uuid == uuid)
    read = meter.open([device], None).counter(device)
    assert read is not None
    return read.energy_j


def test_each_package_is_counted_once_with_its_memory(tree: Path) -> None:
    devices = RaplMeter(tree).devices()
    assert [device.uuid for device in devices] == ["package-0", "package-1"]
    assert devices[0].extra == {"domains": "package-0, dram"}
    assert energy_j(tree, "package-0") == pytest.approx(1.5)
    assert energy_j(tree, "package-1") == pytest.approx(2.0)


def test_a_counter_that_wraps_goes_on(tree: Path) -> None:
    meter = RaplMeter(tree)
    device = meter.devices()[1]
    file = tree / "intel-rapl:1" / "energy_uj"
    file.write_text(str(RANGE_UJ - 1_000_000))
    sampler = meter.open([device], None)
    reads = [sampler.counter(device)]
    for value in (3_000_000, RANGE_UJ - 5, 10):
        file.write_text(str(value))
        reads.append(sampler.counter(device))
    rises = [b.energy_j - a.energy_j for a, b in pairwise(reads) if a and b]
    assert rises == pytest.approx([4.0, (RANGE_UJ - 5 - 3_000_000) / 1e6, 15e-6], abs=1e-6)


def test_no_permission_says_what_to_do(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(file: Path, *arguments: object, **named: object) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    if os.getuid() == 0:  # root may read everything, whatever the mode says
        monkeypatch.setattr(
            Path,
            "read_text",
            lambda file: forbid(file) if file.name == "energy_uj" else {"name": "package-0"}.get(file.name, "1"),
        )
    else:
        (tree / "intel-rapl:0" / "energy_uj").chmod(0)
    with pytest.raises(MeterError, match="may not be read") as caught:
        RaplMeter(tree).devices()
    assert caught.value.hint is not None
    assert "chmod" in caught.value.hint


def test_no_domains_and_an_unknown_package(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(MeterError, match="no RAPL domains"):
        RaplMeter(tmp_path_factory.mktemp("empty")).devices()
    device = RaplMeter(tree).devices()[0]
    for folder in ("intel-rapl:0", "intel-rapl-mmio:0"):
        (tree / folder / "name").write_text("package-7")
    with pytest.raises(MeterError, match="no RAPL domain package-0"):
        RaplMeter(tree).open([device], None)


def test_a_domain_that_goes_away_is_a_meter_error(tree: Path) -> None:
    meter = RaplMeter(tree)
    device = meter.devices()[0]
    sampler = meter.open([device], None)
    (tree / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(MeterError, match="energy_uj"):
        sampler.counter(device)
