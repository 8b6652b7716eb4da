"""Study files that somebody broke: a clear error or a study, never a traceback, a hang or a full memory."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llem.errors import Problem, StudyError
from pytest_llem.study.load import load_study, study_from_mapping
from pytest_llem.study.paths import all_paths
from pytest_llem.study.runner import Overrides
from tests.conftest import CI

EXAMPLES = 2000 if CI else 200
SECONDS, MEGABYTES = 2.0, 300
SEED_TEXT = b"""\
llem: 1
name: batching
model: {id: tiny, dtype: float16}
backend: [pytorch, vllm]
dataset: &data {source: synthetic, n: 16, input_tokens: 64}
pytorch: {batch_size: 4, quantization: {load_in_4bit: true}, torch_compile: {mode: default}}
vllm: {engine: {enforce_eager: true, max_model_len: 4096}, sampling: {temperature: 0.0}}
measure: {warmup: auto, repeats: 3, min_window_s: 1.0}
execution: {cycles: 3, order: shuffled, experiment_gap_s: 0, timeout_s: 600}
runners: {vllm: "docker:a/b:1"}
sweep:
  pytorch.batch_size: [1, 4, 16]
  vllm.engine.gpu_memory_utilization: [0.8, 0.9]
  group:
    - {}
    - {pytorch.num_beams: [2, 3], max_output_tokens: 7}
experiments:
  - {backend: pytorch, pytorch: {batch_size: 2}, dataset: *data}
budgets:
  - {metric: energy_per_output_token_j, max: 0.5 mJ, when: {pytorch.batch_size: 16}}
"""

PIECES = [
    b"[",
    b"{",
    b"}",
    b"]",
    b":",
    b": ",
    b"\n",
    b"\t",
    b"  ",
    b"- ",
    b"&a ",
    b"*a",
    b"!!x ",
    b"? ",
    b"'",
    b'"',
    b"#",
]
PIECES += [
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\x85",
    b"%",
    b"|",
    b">",
    b"---\n",
    b"<<: ",
    b"99999999999999999999",
    b"-1",
    b"1e999",
]


def mutated(random_: random.Random) -> bytes:
    data = bytearray(SEED_TEXT)
    for _ in range(random_.choice((1, 1, 2, 5, 12))):
        at = random_.randrange(len(data) + 1)
        match random_.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << random_.randrange(8)
            case 1:
                del data[at : at + random_.randint(1, 20)]
            case 2:
                data[at:at] = random_.choice(PIECES) * random_.choice((1, 1, 1, 2, 5000))
            case 3:
                start = random_.randrange(len(data) + 1)
                data[at:at] = data[start : start + random_.randint(1, 200)]
            case _:
                data[at : at + 1] = random_.choice(PIECES)
    return bytes(data)


def attempt(path: Path, data: bytes) -> bool:
    """Whether it was a study; asserts that it took no longer than it may."""
    path.write_bytes(data)
    begun = time.perf_counter()
    problems = problems_of(path)
    assert time.perf_counter() - begun < SECONDS, data
    return not problems


def problems_of(path: Path) -> tuple[Problem, ...]:
    """The mistakes in a file; none for a study that can run. Anything but ``StudyError`` goes through."""
    try:
        study = load_study(path, overrides=Overrides(environment={}))
    except StudyError as error:
        return error.problems
    assert study.cells
    assert len(study.notices()) <= 21
    return ()


def test_mutated_files(tmp_path: Path) -> None:
    random_ = random.Random(20260723)
    outcomes = {attempt(tmp_path / "study.yaml", mutated(random_)) for _ in range(EXAMPLES)}
    assert outcomes == {True, False}, "the mutations must reach the loader on both ways"


WORDS = st.sampled_from(
    [
        *["llem", "model", "backend", "dataset", "pytorch", "vllm", "measure", "execution", "sweep", "experiments"],
        "x",
        "1",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | WORDS
KEYS = WORDS | st.sampled_from(all_paths()) | st.text(max_size=6)
TREES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=5), max_leaves=25
)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES, deadline=SECONDS * 1000, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_mapping(tree: dict[str, object]) -> None:
    tree.pop("base", None)  # would read files that happen to be here
    with contextlib.suppress(StudyError):
        assert study_from_mapping(tree, name="any", overrides=Overrides(environment={})).cells


WHOLE = {
    "mistakes everywhere": "llem: 1\nmodel: tiny\npytorch:\n" + "".join(f"  k{n}: 1\n" for n in range(80_000)),
    "unknown keys": "llem: 1\n" + "".join(f"k{n}: 1\n" for n in range(80_000)),
    "wrong values": "llem: 1\nmodel: tiny\nsweep: {seed: [" + "x, " * 150_000 + "]}\n",
    "different wrong values": "llem: 1\nmodel: tiny\nsweep: {seed: ["
    + ", ".join(f"x{n}" for n in range(100_000))
    + "]}\n",
    "wrong experiments": "llem: 1\nmodel: tiny\nexperiments:\n" + "- {seed: x, foo: 1}\n" * 30_000,
    "many budgets": "llem: 1\nmodel: tiny\nbudgets:\n" + "- {metric: energy_j, max: 1}\n" * 30_000,
    "many groups": "llem: 1\nmodel: tiny\nsweep:\n" + "".join(f"  g{n}: [{{seed: [1, 2]}}]\n" for n in range(30_000)),
    "many paths": "llem: 1\nmodel: tiny\nbackend: vllm\nsweep:\n  g:\n"
    + "".join(f"  - {{vllm.engine.extra.k{n}: 1}}\n" for n in range(10_000)),
    "huge grid": "llem: 1\nmodel: tiny\nsweep:\n  g:\n  - {"
    + ", ".join(f"vllm.engine.extra.k{n}: [1, 2, 3]" for n in range(2_000))
    + "}\nbackend: vllm\n",
    "many grids": "llem: 1\nmodel: tiny\nsweep:\n  g:\n"
    + f"  - {{seed: {list(range(90))}, max_output_tokens: {list(range(1, 91))}}}\n" * 700,
    "points that cannot run": "llem: 1\nmodel: tiny\npytorch: {prompt_lookup_num_tokens: 1}\n"
    f"sweep: {{pytorch.batch_size: {list(range(1, 9_000))}}}\n",
    "one long key": f"llem: 1\n{'k' * 900_000}: 1\n",
    "one long value": f"llem: 1\nmodel: {'m' * 900_000}\nseed: {'9' * 90_000}\n",
    "aliases": "llem: 1\nmodel: tiny\nx: &x [" + "1, " * 1000 + "]\ny: [" + "*x, " * 190 + "]\n",
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE.keys())
def test_large_files_cost_little_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    begun = time.process_time()
    problems = problems_of(path)
    assert len(problems) <= 101
    assert sum(len(str(problem)) for problem in problems) < 100_000
    assert time.process_time() - begun < SECONDS


def test_hostile_files_need_little_memory(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from pytest_llem.errors import StudyError
from pytest_llem.study.load import load_study
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        load_study(path)
    except StudyError:
        pass
status = pathlib.Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""
    worst = [WHOLE[name].encode() for name in ("mistakes everywhere", "many groups", "many paths")]
    random_ = random.Random(7)
    for number, text in enumerate([*worst, *(mutated(random_) for _ in range(20))]):
        (tmp_path / f"{number}.yaml").write_bytes(text)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=60, capture_output=True
    )
    assert int(run.stdout) / 1024 < MEGABYTES  # not ru_maxrss, which a process takes over from its parent
