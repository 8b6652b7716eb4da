"""The choice of a meter: by name, automatic, third party."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.energy import choose
from pytest_llem.energy.choose import BUILT_IN, GROUP, choose_meter, make_meter
from pytest_llem.energy.meters import rapl
from pytest_llem.energy.meters.cpu_estimate import CpuEstimateMeter
from pytest_llem.errors import MeterError
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]


@pytest.fixture(autouse=True)
def no_rapl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A powercap tree of our own, empty, whatever machine this is."""
    monkeypatch.setattr(rapl.RaplMeter.__init__, "__defaults__", (tmp_path,))
    return tmp_path


def package(root: Path) -> None:
    folder = root / "intel-rapl:0"
    folder.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "1", "max_energy_range_uj": "9"}.items():
        (folder / name).write_text(text)


def test_the_counter_is_preferred(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu())
    choice = choose_meter()
    assert (choice.meter.name, choice.meter.source, choice.passed_over) == ("nvml", "nvml_counter", ())


def test_then_power(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(counter=False))
    assert choose_meter().meter.source == "nvml_power"


def test_then_rapl_and_why(fake_nvml: Install, no_rapl: Path) -> None:
    fake_nvml()
    package(no_rapl)
    choice = choose_meter()
    assert choice.meter.name == "rapl"
    assert choice.passed_over == (("nvml", "NVML sees no GPU"),)


def test_then_the_estimate_and_why(fake_nvml: Install, no_rapl: Path) -> None:
    fake_nvml(FakeGpu(mig=True))
    choice = choose_meter()
    assert choice.meter.name == "cpu-estimate"
    assert choice.passed_over == (
        ("nvml", "every GPU is cut into MIG slices"),
        ("rapl", f"no RAPL domains under {no_rapl}"),
    )


def test_a_workload_without_gpu_is_not_measured_by_a_gpu(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu())
    choice = choose_meter(gpu=False)
    assert choice.meter.name == "cpu-estimate"
    assert choice.passed_over[0] == ("nvml", "the workload uses no GPU")


def test_no_way_at_all_names_every_reason(fake_nvml: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml()
    monkeypatch.setenv("LLEM_CPU_WATTS_PER_CORE", "none")
    with pytest.raises(MeterError, match=r"nvml: .*rapl: .*cpu-estimate: "):
        choose_meter()


def test_a_meter_asked_for_by_name_does_not_fall_back(fake_nvml: Install) -> None:
    fake_nvml()
    with pytest.raises(MeterError, match="no GPU"):
        choose_meter("nvml")
    assert isinstance(choose_meter("cpu-estimate").meter, CpuEstimateMeter)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(MeterError, match="'nmvl'") as caught:
        make_meter("nmvl")
    assert caught.value.hint is not None
    assert all(name in caught.value.hint for name in (*BUILT_IN, "auto", "replay:FILE"))


def test_a_third_party_s_broken_meter_is_a_meter_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choose.BUILT_IN, "broken", "no_such_module_anywhere:Meter")
    with pytest.raises(MeterError, match=r"'broken'.*ModuleNotFoundError"):
        make_meter("broken")


def test_the_built_in_meters_are_the_declared_ones() -> None:
    """The entry points are what third parties see; the table works without an installed distribution."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"][GROUP] == BUILT_IN
    for name in BUILT_IN:
        assert make_meter(name).name == name
