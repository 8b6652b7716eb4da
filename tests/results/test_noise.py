"""Noise floors: estimated from simulated sessions with known spread, kept for each board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import Baseline
from pytest_llem.results.noise import (
    MOST_DOF,
    MOST_SESSIONS,
    BoardNoise,
    NoiseFloor,
    board_difference,
    board_key,
    default_folder,
    floor,
    learn,
    load,
    remember,
)
from tests.results.runs import device, noisy, run

METRIC = "energy_per_output_token_j"


def session(values: list[float], number: int, name: str = "pytorch-bs1", **changes: object) -> Baseline:
    return run(values, name, **changes).model_copy(update={"recorded_at": f"2026-01-{number:04d}"})


def learned(
    within: float, between: float, sessions: int, *, repeats: bool = True, groups: int = 1
) -> NoiseFloor | None:
    random = np.random.default_rng(4)
    noise = BoardNoise(board="GPU-1")
    for group in range(groups):
        for number in range(sessions):
            logs = random.normal(0, within, 6) + random.normal(0, between)
            name = f"pytorch-bs{group}"
            noise = learn(noise, session(np.exp(logs).tolist(), 100 * group + number, name), repeats=repeats)
    return floor(noise, run([1.0]).configurations[0], METRIC)


def test_finds_what_was_put_in() -> None:
    found = learned(0.01, 0.03, 12, groups=8)
    assert found is not None
    assert found.within == pytest.approx(0.01, rel=0.25)
    assert found.between == pytest.approx(0.03, rel=0.4)
    assert found.within_dof == MOST_DOF


def test_pools_all_configurations_where_one_is_not_enough() -> None:
    assert learned(0.01, 0.0, 1, groups=1) is None
    pooled = learned(0.01, 0.0, 1, groups=8)
    assert pooled is not None
    assert pooled.within == pytest.approx(0.01, rel=0.3)


def test_no_difference_between_sessions_is_invented() -> None:
    found = learned(0.02, 0.0, 12, groups=8)
    assert found is not None
    assert found.between < 0.006


def test_a_real_change_between_runs_is_not_taken_for_noise() -> None:
    undeclared = learned(0.01, 0.05, 10, repeats=False)
    assert undeclared is not None
    assert (undeclared.between, undeclared.between_dof) == (0.0, 1.0)
    assert undeclared.within == pytest.approx(0.01, rel=0.25)


def test_a_configurations_own_noise_comes_first() -> None:
    noise = BoardNoise(board="GPU-1")
    noise = learn(noise, session(noisy(1.0, 10, noise=0.001), 1), repeats=False)
    noise = learn(noise, session(noisy(1.0, 10, noise=0.05), 2, "pytorch-bs64"), repeats=False)
    own = floor(noise, run([1.0]).configurations[0], METRIC)
    other = floor(noise, run([1.0], "unknown").configurations[0], METRIC)
    assert own is not None
    assert own.within == pytest.approx(0.001)
    assert other is not None
    assert other.within == pytest.approx(np.sqrt((0.001**2 + 0.05**2) / 2))


def test_what_is_not_learned() -> None:
    empty = BoardNoise(board="GPU-1")
    assert learn(empty, run([1.0]), repeats=True) == empty
    assert learn(empty, run(noisy(1.0), measured=False), repeats=True) == empty
    assert learn(empty, run(noisy(1.0), devices=(device("GPU-2"),)), repeats=True) == empty
    assert learn(empty, run(noisy(1.0), valid=False), repeats=True) == empty


def test_a_run_learned_twice_counts_once_and_old_sessions_go() -> None:
    noise = BoardNoise(board="GPU-1")
    for number in [1, 1, *range(2, 3 * MOST_SESSIONS)]:
        noise = learn(noise, session(noisy(1.0, seed=number), number), repeats=True)
        if number == 1:
            assert len(noise.groups[0].sessions) == 1
    assert len(noise.groups[0].sessions) == MOST_SESSIONS
    assert noise.groups[0].sessions[-1].recorded_at.endswith(str(3 * MOST_SESSIONS - 1))


def test_difference_of_two_boards() -> None:
    boards = [
        learn(BoardNoise(board=uuid), run(noisy(mean), devices=(device(uuid),)), repeats=False)
        for uuid, mean in (("GPU-1", 1.0), ("GPU-2", 1.04))
    ]
    assert board_difference(*boards, METRIC) == pytest.approx(np.log(1.04))
    assert board_difference(boards[0], BoardNoise(board="GPU-3"), METRIC) is None


def test_remembered_on_disk(tmp_path: Path) -> None:
    assert load(tmp_path, "GPU-1") == BoardNoise(board="GPU-1")
    both = (device("GPU-1"), device("GPU-2"))
    remember(tmp_path / "new", run(noisy(1.0, 10)), repeats=False)
    remember(tmp_path / "new", run(noisy(1.0, 10), devices=both), repeats=False)
    for board in ("GPU-1", board_key(["GPU-2", "GPU-1"])):
        found = floor(load(tmp_path / "new", board), run([1.0]).configurations[0], METRIC)
        assert found is not None
        assert found.within == pytest.approx(0.005)


def test_a_damaged_file_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "GPU-1.json").write_text("{")
    with pytest.raises(ResultError, match="delete it"):
        load(tmp_path, "GPU-1")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match="cannot be written"):
        remember(tmp_path / "file" / "noise", run(noisy(1.0)), repeats=False)


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "pytest-llem" / "noise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "pytest-llem" / "noise"
