"""Energy in ordinary tests: experiments by the ``llem`` fixture, any code by ``llem_measure``.

Run with ``pytest examples/test_benchmark.py``; keep the figures with ``--llem-save=main`` and compare later ones with
``--llem-compare=main --llem-fail-on=energy_per_output_token_j:5%``, as for study files.
"""

import time

import pytest

SHORT = {"repeats": 2, "min_window_s": 0.3}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.llem_budget(energy_per_output_token_j="5 J", ttft_s__p95="2 s")
def test_batching(llem, batch_size):
    result = llem.run(
        model="tiny",
        batch_size=batch_size,
        dataset={"n": 4, "input_tokens": 16},
        max_output_tokens=16,
        measure=SHORT,
    )
    assert result.output_tokens_per_s > 10


@pytest.mark.parametrize("cycle", [1, 2, 3])
@pytest.mark.llem_budget(energy_per_output_token_j="5 J")
def test_cycles(llem, cycle):
    """The same experiment three times: its budget is judged once more on the mean, and a baseline sees its spread."""
    llem.run(model="tiny", batch_size=2, dataset={"n": 4, "input_tokens": 16}, max_output_tokens=16, measure=SHORT)


def test_any_code(llem_measure):
    """On a GPU this is the energy of the whole device, elsewhere an estimate; ``measured`` tells which."""
    with llem_measure("a loop") as energy:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            sum(range(10_000))
    assert energy.duration_s >= 0.5
    assert energy.energy_j is None or energy.energy_j < 1000


def test_on_the_gpu(llem_gpu, llem_measure):
    """Skips where there is no GPU with a power meter; elsewhere nobody else measures on it meanwhile."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    with llem_measure("products") as energy:
        for _ in range(200):
            a @ a
    assert energy.measured
    assert energy.energy_j > 0
