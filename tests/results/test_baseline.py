"""The baseline's file: complete, the same every time, small, and clear about what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import (
    Baseline,
    column_of,
    environment_facts,
    make_baseline,
    read_baseline,
    write_baseline,
)
from pytest_llem.results.model import Spread
from tests.results.runs import cycles, device, noisy, run, window
from tests.results.samples import make_result

TTFT = Spread(mean=0.1, median=0.09, p50=0.09, p90=0.2, p95=0.3, p99=0.4, n=10)


def test_holds_every_cycle() -> None:
    entry = run([0.1, 0.2, 0.3], ttft_s=TTFT).configurations[0]
    assert entry.cells == ("pytorch-bs1-c1", "pytorch-bs1-c2", "pytorch-bs1-c3")
    assert entry.label == "study[pytorch-bs1]"
    assert entry.values("energy_per_output_token_j") == (0.1, 0.2, 0.3)
    assert entry.values("ttft_s") == entry.values("ttft_s.p50") == (0.09, 0.09, 0.09)
    assert entry.values("ttft_s.p95") == (0.3, 0.3, 0.3)
    assert entry.values("tpot_s") == ()
    assert entry.boards[0].uuid == "GPU-1"
    assert entry.window_s == 1.0


def test_order_of_results_does_not_matter() -> None:
    results = [*cycles([0.1, 0.2]), *cycles([0.3, 0.4], "pytorch-bs2")]
    assert make_baseline(results) == make_baseline(results[::-1])


def test_invalid_cycles_are_kept_but_give_no_values() -> None:
    bad = make_result(
        cycle=3,
        cell_id="pytorch-bs1-c3",
        config_hash="pytorch-bs1".rjust(16, "0"),
        valid=False,
        reasons=("gpu_shared",),
    )
    entry = make_baseline([*cycles([0.1, 0.2]), bad]).configurations[0]
    assert entry.invalid == (None, None, "gpu_shared")
    assert entry.values("energy_per_output_token_j") == (0.1, 0.2)


def test_power_limit() -> None:
    assert not run([0.1, 0.1]).configurations[0].power_limited
    assert run([0.1], reasons=("power_not_settled",)).configurations[0].power_limited
    assert run([0.1], devices=(device(throttle_reasons=("sw_power_cap",)),)).configurations[0].power_limited


@pytest.mark.parametrize(("mean_w", "limited"), [(310.0, False), (690.0, True)])
def test_a_limit_touched_for_a_moment_does_not_rule_a_window(mean_w: float, limited: bool) -> None:
    touched = device(throttle_reasons=("sw_power_cap",), mean_power_w=mean_w, power_limit_w=700.0)
    assert run([0.1], devices=(touched,)).configurations[0].power_limited == limited


def test_written_and_read_again(tmp_path: Path) -> None:
    baseline = make_baseline(cycles(noisy(0.1), ttft_s=TTFT), {"fedcba9876543210": {"driver": "580.1"}})
    path = tmp_path / "new" / "main.json"
    write_baseline(path, baseline)
    assert read_baseline(path) == baseline
    first = path.read_bytes()
    write_baseline(path, read_baseline(path))
    assert path.read_bytes() == first


def test_small_and_fit_for_a_diff(tmp_path: Path) -> None:
    path = tmp_path / "main.json"
    results = [r for i in range(20) for r in cycles(noisy(0.1, seed=i), f"pytorch-bs{i}", repeats=(window(),) * 3)]
    write_baseline(path, make_baseline(results))
    lines = path.read_text().splitlines()
    assert len(path.read_bytes()) < 20 * 2500
    assert sum('"energy_per_output_token_j": [' in line and line.count(",") >= 4 for line in lines) == 20


def test_text_with_brackets_survives_the_compact_form(tmp_path: Path) -> None:
    odd = 'a [1,\n 2] "b" \\ ] ['
    baseline = make_baseline(cycles([0.1, 0.2], study=odd))
    write_baseline(tmp_path / "b.json", baseline)
    assert read_baseline(tmp_path / "b.json").configurations[0].study == odd


def broken(tmp_path: Path, **changes: object) -> Path:
    data = {**run([0.1, 0.2]).model_dump(mode="json"), **changes}
    path = tmp_path / "b.json"
    path.write_text(json.dumps(data))
    return path


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"no such baseline[\s\S]*--llem-save"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(ResultError, match="is not a baseline"):
        read_baseline(broken(tmp_path, format="other"))
    with pytest.raises(ResultError, match="version 2 of the format"):
        read_baseline(broken(tmp_path, version=2))
    with pytest.raises(ResultError, match="is damaged: configurations"):
        read_baseline(broken(tmp_path, configurations=[{}]))
    (tmp_path / "c.json").write_bytes(b"\xff{")
    with pytest.raises(ResultError, match="cannot be read"):
        read_baseline(tmp_path / "c.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ResultError, match="cannot be read as a baseline"):
        read_baseline(tmp_path / "deep.json")
    with pytest.raises(ResultError, match="no results"):
        make_baseline([])


def test_a_column_of_another_length_is_damage(tmp_path: Path) -> None:
    entry = run([0.1, 0.2]).configurations[0].model_dump(mode="json")
    entry["figures"]["energy_j"] = [1.0]
    with pytest.raises(ResultError, match="2 cycles, but not as many values of energy_j"):
        read_baseline(broken(tmp_path, configurations=[entry]))


@pytest.mark.parametrize("value", [1e-320, 1e308])
def test_a_figure_out_of_all_range_is_damage(tmp_path: Path, value: float) -> None:
    entry = run([0.1, 0.2]).configurations[0].model_dump(mode="json")
    entry["figures"]["energy_j"] = [1.0, value]
    with pytest.raises(ResultError, match=r"is damaged: .* is no value of energy_j"):
        read_baseline(broken(tmp_path, configurations=[entry]))


def test_column_of() -> None:
    assert column_of("energy_j") == "energy_j"
    assert column_of("ttft_s") == column_of("ttft_s.p50") == "ttft_s.median"


def test_environment_facts() -> None:
    environment = {
        "driver": {"version": "580.1", "cuda": "13.0"},
        "gpus": [{"power_limit_w": 700.0}, {"power_limit_w": None}],
        "host": {"cpu_model": "a CPU"},
    }
    assert environment_facts(environment) == {
        "driver": "580.1",
        "cuda driver": "13.0",
        "power limit 0": "700 W",
        "cpu": "a CPU",
    }
    assert environment_facts({"driver": None, "gpus": [], "host": {"cpu_model": None}}) == {}


def test_facts_and_versions_are_named() -> None:
    baseline = make_baseline(cycles([0.1], versions={"torch": "2.13.0"}), {"fedcba9876543210": {"driver": "580.1"}})
    assert isinstance(baseline, Baseline)
    assert baseline.environments == {"fedcba9876543210": {"driver": "580.1", "torch": "2.13.0"}}
