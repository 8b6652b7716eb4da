"""The recorder as it is: a real process, killed, orphaned, robbed of a device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.choose import make_meter
from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.meter import Device
from pytest_llem.energy.recorder import Recorder
from pytest_llem.energy.recording import read_recording
from pytest_llem.energy.trace import Mark, Trace, dump_traces
from pytest_llem.errors import MeterError
from tests.energy.conftest import ShadowGpus
from tests.energy.fake_nvml import FakeGpu

CPU = Device(uuid="cpu", name="CPU")


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def recorder_pid(folder: Path) -> int:
    (samples,) = folder.glob("samples-*.jsonl")
    return int(json.loads(samples.read_bytes().split(b"\n", 1)[0])["pid"])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def devices_of(*gpus: FakeGpu) -> list[Device]:
    return [Device(uuid=gpu.uuid, name=gpu.name, index=i) for i, gpu in enumerate(gpus)]


def test_it_records_often_near_edges_and_seldom_between(tmp_path: Path) -> None:
    with Recorder("cpu-estimate", [CPU], tmp_path, pid=os.getpid()) as recorder:
        recorder.pace("dense")
        time.sleep(0.6)
        edge = time.monotonic()
        recorder.pace("slow")
        time.sleep(1.3)
        recording = recorder.stop()
    energy = recording.energy["cpu"]
    dense = energy[energy[:, 0] < edge]
    gaps = np.diff(dense[2:, 0])
    assert 15 < len(dense) < 100
    assert 0.005 < np.median(gaps) < 0.04
    assert np.std(gaps) > 0.002  # jitter: at a fixed pace it would lock to the counter's own
    assert len(energy) - len(dense) <= 5
    assert np.all(np.diff(energy[:, 2]) >= 0)
    assert recording.ended
    assert recording.lost is None
    assert (recording.meter.source, recording.meter.measured) == ("cpu_estimate", False)
    assert recording.cost.counter_reads == len(energy)
    assert recording.cost.cpu_share is not None
    assert 0 < recording.cost.cpu_share < 0.2


def test_what_it_reads_is_the_workload_s(tmp_path: Path) -> None:
    """A process that keeps one core busy costs watts_per_core; the interval says how well that is known."""
    with Recorder("cpu-estimate", [CPU], tmp_path) as recorder:
        process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            recorder.follow(process.pid)
            recorder.pace("dense")
            time.sleep(1.0)
            recording = recorder.read()
            end = recording.last_time()
            cpu_s = time.clock_gettime((~process.pid << 3) | 2)
        finally:
            process.kill()
            process.wait()
    power = recording.mean_power("cpu", end - 0.8, end)
    assert power is not None
    value, low, high = power
    assert low <= value <= high
    assert value == pytest.approx(3.75 * min(1.0, cpu_s), rel=0.25)  # other tests may want the core as well
    assert not recording.ended


def test_a_killed_recorder_leaves_what_it_wrote(tmp_path: Path) -> None:
    with Recorder("cpu-estimate", [CPU], tmp_path, pid=os.getpid()) as recorder:
        recorder.pace("dense")
        time.sleep(0.2)
        os.kill(recorder_pid(tmp_path), signal.SIGKILL)
        until(lambda: recorder.read().lost is not None)
        recorder.pace("slow")
        recording = recorder.stop()
    assert recording.lost is not None
    assert recording.lost.device is None
    assert "code -9" in recording.lost.message
    assert recording.lost.time == recording.last_time()
    assert len(recording.energy["cpu"]) > 5
    assert not recording.ended


def test_it_ends_when_its_host_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from pytest_llem.energy.meter import Device\nfrom pytest_llem.energy.recorder import Recorder\n"
        "recorder = Recorder('cpu-estimate', [Device('cpu', 'CPU')], Path(sys.argv[1]))\n"
        "recorder.start()\nprint('started', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"started\n"
        pid = recorder_pid(tmp_path)
        assert alive(pid)
        host.kill()
    until(lambda: not alive(pid))
    recording = read_recording(tmp_path / "samples-cpu-estimate.jsonl")
    assert recording.ended
    assert len(recording.energy["cpu"]) >= 2


def test_a_lost_gpu_ends_its_own_samples_only(tmp_path: Path, shadow_gpus: ShadowGpus) -> None:
    gpus = (FakeGpu(uuid="GPU-a"), FakeGpu(uuid="GPU-b", lost_after_s=0.4))
    shadow_gpus(*gpus)
    with Recorder("nvml", devices_of(*gpus), tmp_path) as recorder:
        recorder.pace("dense")
        time.sleep(0.9)
        recording = recorder.stop()
    assert recording.lost is not None
    assert recording.lost.device == "GPU-b"
    assert "GPU is lost" in recording.lost.message
    assert recording.energy["GPU-a"][-1, 0] > recording.energy["GPU-b"][-1, 0] + 0.2
    assert recording.ended


def test_several_gpus_are_read_in_turn(tmp_path: Path, shadow_gpus: ShadowGpus) -> None:
    gpus = [FakeGpu(uuid=f"GPU-{i}", power_w=100.0 * (i + 1)) for i in range(4)]
    shadow_gpus(*gpus)
    with Recorder("nvml", devices_of(*gpus), tmp_path) as recorder:
        recorder.pace("dense")
        start = time.monotonic()
        time.sleep(0.8)
        recording = recorder.stop()
    counts = [len(recording.energy[gpu.uuid]) for gpu in gpus]
    assert min(counts) > 0.7 * max(counts)
    for gpu in gpus:
        power = recording.mean_power(gpu.uuid, start, start + 0.8)
        assert power is not None
        assert power[1] <= gpu.power_w <= power[2]
        full = [row for row in recording.rows[gpu.uuid] if row.temperature_c is not None]
        assert 1 <= len(full) <= 4
        assert recording.peak_memory_bytes(gpu.uuid, 0, start + 9) == 0


def test_inside_a_window_the_counter_is_left_alone_and_power_is_the_driver_s(
    tmp_path: Path, shadow_gpus: ShadowGpus
) -> None:
    gpu = FakeGpu(uuid="GPU-a")
    shadow_gpus(gpu)
    with Recorder("nvml", devices_of(gpu), tmp_path) as recorder:
        recorder.pace("dense")
        time.sleep(0.4)
        recorder.pace("quiet")
        start = time.monotonic()
        time.sleep(2.0)
        end = time.monotonic()
        recorder.pace("dense")
        time.sleep(0.4)
        recorder.pace("slow")
        recording = recorder.stop()
    read = recording.energy["GPU-a"][:, 0]
    assert not np.any((read > start + 0.03) & (read < end))
    ((quiet_from, quiet_to),) = recording.quiet
    assert start - 0.01 < quiet_from < start + 0.05
    assert end - 0.01 < quiet_to < end + 0.05
    trace = recording.trace("GPU-a", "window", quiet_from, end, [])
    assert len(trace.energy) > 20
    assert float(trace.extra["counter_gap_s"]) >= 2.0
    inside = trace.power[(trace.power[:, 0] > start) & (trace.power[:, 0] < end - 0.05)]
    assert np.diff(inside[:, 0]) == pytest.approx(0.02, abs=0.003)
    assert inside[:, 1] == pytest.approx(400.0)
    assert np.isnan(trace.power[:, 2]).all()
    assert trace.power[0, 0] < start - 0.2
    assert trace.power[-1, 0] > end + 0.2
    result = estimate(trace)
    assert result.valid, result.reasons
    assert result.energy_j == pytest.approx(400.0 * (end - quiet_from), rel=0.02)


def test_a_counter_that_disturbs_nothing_is_read_all_the_time(tmp_path: Path) -> None:
    with Recorder("cpu-estimate", [CPU], tmp_path, pid=os.getpid()) as recorder:
        recorder.pace("quiet")
        time.sleep(0.5)
        recording = recorder.stop()
    assert len(recording.energy["cpu"]) > 10
    assert recording.quiet == ()


def test_a_meter_that_does_not_start_says_why(tmp_path: Path, shadow_gpus: ShadowGpus) -> None:
    sliced = FakeGpu(uuid="GPU-a", mig=True)
    shadow_gpus(sliced)
    with pytest.raises(MeterError, match="MIG is not supported") as caught:
        Recorder("nvml", devices_of(sliced), tmp_path).start()
    assert caught.value.hint is not None
    with pytest.raises(MeterError, match="no meter is called 'wattmeter'"):
        Recorder("wattmeter", [CPU], tmp_path).start()


def third_party(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A meter of somebody else's, installed in ``folder`` under the name ``theirs``."""
    (folder / "theirs.py").write_text(
        "from pytest_llem.energy.meters.cpu_estimate import CpuEstimateMeter, CpuEstimateSampler\n" + body
    )
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_llem.meters]\ntheirs = theirs:Theirs\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)


def test_a_third_party_s_meter_may_print_and_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(
        tmp_path,
        monkeypatch,
        "print('hello from theirs')\n"
        "class Sampler(CpuEstimateSampler):\n"
        "    n = 0\n"
        "    def counter(self, device):\n"
        "        self.n += 1\n"
        "        if self.n > 5: raise KeyError('gone')\n"
        "        return super().counter(device)\n"
        "class Theirs(CpuEstimateMeter):\n"
        "    name = 'theirs'\n"
        "    def open(self, devices, pid): return Sampler(1.0, pid)\n",
    )
    assert make_meter("theirs").name == "theirs"
    with Recorder("theirs", [CPU], tmp_path) as recorder:
        recorder.pace("dense")
        time.sleep(0.3)
        recording = recorder.stop()
    assert len(recording.energy["cpu"]) == 5
    assert recording.lost is not None
    assert recording.lost.message == "KeyError: 'gone'"
    assert "hello from theirs" in (tmp_path / "recorder-theirs.log").read_text()


def test_a_recorder_that_crashes_at_the_start_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party(
        tmp_path,
        monkeypatch,
        "class Theirs(CpuEstimateMeter):\n    def open(self, devices, pid): raise RuntimeError('no such wire')\n",
    )
    with pytest.raises(MeterError, match="ended at once, with code 1") as caught:
        Recorder("theirs", [CPU], tmp_path).start()
    assert caught.value.hint is not None
    assert "no such wire" in caught.value.hint


def test_commands_need_a_started_recorder(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="not running"):
        Recorder("cpu-estimate", [CPU], tmp_path).pace("dense")


def test_stopping_twice_gives_the_same_recording(tmp_path: Path) -> None:
    with Recorder("cpu-estimate", [CPU], tmp_path) as recorder:
        first = recorder.stop()
        assert recorder.stop() is first
        assert recorder.read() is first


def test_a_process_with_a_thousand_files_open_can_record(tmp_path: Path, thousand_files: None) -> None:
    with Recorder("cpu-estimate", [CPU], tmp_path) as recorder:
        assert recorder.read().lost is None


def test_it_starts_fast_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\nimport pytest_llem.energy.recorder_process\nimport pytest_llem.energy.meters.nvml\nimport pynvml\n"
        "heavy = {'numpy', 'pydantic', 'pytest', 'torch', 'yaml', 'importlib.metadata'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_between_edges_it_takes_less_than_a_hundredth_of_a_core(tmp_path: Path) -> None:
    """On a meter whose reads cost next to nothing: what is left is the recorder's own work."""
    times = np.arange(0, 10, 0.02)
    trace = Trace(
        name="steady",
        t0=2.0,
        t1=8.0,
        marks=(Mark("work", 1, 8.0),),
        energy=np.column_stack([times, times + 0.003, np.floor(times / 0.1) * 10]),
        power=np.column_stack([times, np.full_like(times, 100), np.full_like(times, 100)]),
    )
    file = tmp_path / "trace.json.gz"
    file.write_bytes(dump_traces([trace]))
    meter = f"replay:{file}"
    with Recorder(meter, make_meter(meter).devices(), tmp_path) as recorder:
        time.sleep(4.0)
        cost = recorder.stop().cost
    assert cost.slow_wall_s > 3.5
    assert cost.power_reads < 10 * cost.slow_wall_s + 2
    assert cost.counter_reads < cost.slow_wall_s + 3
    assert cost.slow_cpu_share is not None
    assert cost.slow_cpu_share < 0.01
