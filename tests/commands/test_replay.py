"""What ``llem replay --json`` prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llem.commands.replay import replay, replay_json, replay_text
from pytest_llem.energy.simulate import pulse, simulate
from pytest_llem.energy.trace import ESTIMATED, dump_traces


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    good = simulate(pulse(10.0, 10.5, 500.0), 10.0, 10.5, name="good")
    broken = replace(good, name="broken", energy=good.energy[good.energy[:, 0] < 10.2])
    (tmp_path / "trace.json.gz").write_bytes(dump_traces([good, broken]))
    return tmp_path / "trace.json.gz"


def test_good_and_broken_traces_stand_side_by_side(recording: Path) -> None:
    good, broken = json.loads(json.dumps(replay_json(replay(recording)), allow_nan=False))["traces"]
    assert (good["name"], good["method"], good["valid"], good["reasons"]) == ("good", "bracketed", True, [])
    assert good["energy_j"] == pytest.approx(250.0, rel=0.005)
    assert good["ci95"][0] < 250.0 < good["ci95"][1]
    (window,) = good["windows"]
    assert (window["label"], window["units"], window["start"], window["end"]) == ("work", 1.0, 10.0, 10.5)
    assert window["energy_j"] == pytest.approx(good["energy_j"])
    assert (broken["valid"], broken["energy_j"], broken["ci95"]) == (False, None, None)
    assert "device_lost" in broken["reasons"]
    assert broken["windows"][0]["energy_j"] is None


def test_the_method_is_the_one_asked_for(recording: Path) -> None:
    assert replay(recording, "counter_delta")[0].method == "counter_delta"
    with pytest.raises(ValueError, match="unknown method"):
        replay(recording, "guess")


def test_an_estimate_is_never_taken_for_a_measurement(recording: Path, tmp_path: Path) -> None:
    measured = replay_text(replay(recording)).splitlines()[0]
    assert "ESTIMATED" not in measured
    guess = simulate(pulse(10.0, 10.5, 500.0), 10.0, 10.5, name="guess")
    path = tmp_path / "guess.json.gz"
    path.write_bytes(dump_traces([replace(guess, extra=guess.extra | {ESTIMATED: "yes"})]))
    (found,) = replay(path)
    assert found.valid
    assert found.reasons == ("estimated_energy",)
    assert replay_text([found]).splitlines()[0].endswith("[bracketed]  ESTIMATED")
