"""The live view of a run: on a real pseudo-terminal, serial and under xdist; lines in a log; nothing under ``-q``."""

from __future__ import annotations

import re
import sys

import pytest

from tests.conftest import Studies
from tests.terminals import Terminal

STUDY = """\
llem: 1
name: seen
model: none
backend: instant
measure: {warmup: 1, repeats: 2, min_window_s: 0.7, bracket_s: 0.3}
instant: {seconds: 0.35}
sweep:
  max_output_tokens: [1, 2, 3, 4]
"""
QUICK = STUDY.replace("repeats: 2, min_window_s: 0.7, bracket_s: 0.3", "repeats: 1, min_window_s: 0.02")
CELLS = [f"study.yaml::seen[instant-out{n}]" for n in range(1, 5)]


def terminal(studies: Studies, *arguments: str) -> Terminal:
    pytest.importorskip("rich")
    own = [*studies.arguments(), "-p", "no:cacheprovider", "-o", "console_output_style=classic"]
    return Terminal([sys.executable, "-m", "pytest", *own, *arguments], studies.pytester.path)


def finished(lines: list[str]) -> list[str]:
    """What stays when a run is over: from the first to the last line of the items."""
    return [line for line in lines if "::" in line]


def test_the_view_comes_below_what_pytest_prints_and_leaves_nothing_behind(studies: Studies) -> None:
    studies.write(STUDY)
    seen = terminal(studies, "-v")
    seen.until(lambda lines: re.fullmatch(r"━+ 0 done, 1 running, 3 waiting", lines[-2]) and lines[-3] == CELLS[0])
    seen.until(lambda lines: re.fullmatch(r"instant-out1  window 1 of 2  \d+ s", lines[-1]))
    seen.until(
        lambda lines: (
            lines[-3] == CELLS[1]
            and re.fullmatch(
                r"━+╸?╺?━+ 1 done, 1 running, 2 waiting, about \d+ s left, [\d.]+ [µm]?J ESTIMATED", lines[-2]
            )
            and re.fullmatch(r"instant-out2  .+  \d+ s, about \d+ s left", lines[-1])
        )
    )
    assert seen.screen.cursor.x == len(CELLS[1]) + 1, "the cursor is where pytest goes on"
    assert seen.end() == 0
    assert finished(seen.lines) == [f"{cell} PASSED" for cell in CELLS]
    assert not seen.screen.cursor.hidden
    assert not any("running" in line for line in seen.lines)


@pytest.mark.usefixtures("two_gpus")
def test_under_xdist_it_shows_what_each_worker_does(studies: Studies) -> None:
    pytest.importorskip("xdist")
    studies.write(STUDY)
    seen = terminal(studies, "-v", "-n2", "--llem-meter=nvml")
    seen.until(
        lambda lines: (
            "0 done, 2 running, 2 waiting" in lines[-3]
            and all(re.fullmatch(r"instant-out[13]  +window \d of 2  +\d+ s.*", line) for line in lines[-2:])
        )
    )
    seen.until(lambda lines: re.search(r"[23] done, [12] running, .*left, [\d.]+ J$", "\n".join(lines), re.MULTILINE))
    assert seen.end() == 0
    passed = [line for line in finished(seen.lines) if "PASSED" in line]
    assert sorted(line.rpartition(" ")[2] for line in passed) == CELLS
    assert all(re.fullmatch(r"(\[gw\d\] PASSED )?study\.yaml::\S+", line) for line in finished(seen.lines))
    assert not any("running" in line for line in seen.lines)


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_worker_that_dies_leaves_the_view(studies: Studies) -> None:
    pytest.importorskip("xdist")
    studies.write(STUDY.replace("max_output_tokens: [1, 2, 3, 4]", "instant.seconds: [60, 2, 2.1, 2.2]"))
    studies.pytester.makeconftest(
        """
        import os, signal, threading
        def pytest_llem_experiment_start(cell):
            if cell.id == "instant-seconds60":
                threading.Timer(3, os.kill, [os.getpid(), signal.SIGKILL]).start()
        """
    )
    seen = terminal(studies, "-n2", "--llem-meter=nvml")
    seen.until(lambda lines: any(line.startswith("instant-seconds60 ") for line in lines))
    seen.until(lambda lines: "1 done, " in "".join(lines))
    seen.until(lambda lines: not any(line.startswith("instant-seconds60 ") for line in lines), limit_s=5)
    assert any(line.startswith("━") for line in seen.lines), "the others are still shown"
    assert seen.end() == 1
    assert "1 failed, 3 passed" in seen.lines[-1]
    assert not any(line.startswith("━") for line in seen.lines)


def test_an_interrupt_clears_the_view(studies: Studies) -> None:
    studies.write(STUDY.replace("0.35", "30"))
    seen = terminal(studies)
    seen.until(lambda lines: lines[-1].startswith("instant-out1  w"))
    seen.type(b"\x03")
    assert seen.end() == pytest.ExitCode.INTERRUPTED
    assert not any("running" in line or "window" in line for line in seen.lines)
    assert not seen.screen.cursor.hidden


def test_what_tests_print_stays_whole(studies: Studies) -> None:
    studies.pytester.makepyfile(
        test_talking="""
        import logging
        def test_talks(llem):
            print("begun", end="")
            llem.run(model="none", backend="instant", instant={"seconds": 1}, measure={"warmup": 1, "repeats": 2})
            print(" and ended")
            logging.getLogger().warning("logged")
        """
    )
    seen = terminal(studies, "-s", "-o", "log_cli=true")
    seen.until(lambda lines: lines[-2].endswith("::test_talks begun") and lines[-1].startswith("test_talks  window"))
    assert seen.end() == 0
    assert "test_talking.py::test_talks begun and ended" in seen.lines
    assert "WARNING  root:test_talking.py:6 logged" in seen.lines


def test_quiet_is_quiet(studies: Studies) -> None:
    studies.write(QUICK)
    seen, shown = terminal(studies, "-q"), set[str]()
    while seen.read():
        shown.update(seen.lines)
    assert seen.end() == 0
    assert any("4 passed" in line for line in shown)
    assert not any("running" in line for line in shown)


@pytest.mark.slow
def test_a_log_gets_a_line_now_and_then(studies: Studies) -> None:
    studies.write(QUICK)
    studies.pytester.makeconftest("import pytest_llem.live\npytest_llem.live.QUIET_S = 0.01")
    told = [line for line in studies.run().outlines if "running" in line]
    assert len(told) == 3
    assert re.fullmatch(r"seen\[instant-out3\]: 2 done, 1 running, 1 waiting, about \d+ s left, .* ESTIMATED", told[1])
    assert not [line for line in studies.run("-q").outlines if "running" in line]


def test_without_rich_a_terminal_gets_the_lines_of_a_log(studies: Studies) -> None:
    studies.write(QUICK)
    studies.pytester.makeconftest("import pytest_llem.live\npytest_llem.live.QUIET_S = 0.01")
    block = "import sys; sys.modules['rich'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    seen = Terminal([sys.executable, "-c", block, *studies.arguments()], studies.pytester.path)
    assert seen.end() == 0
    assert any("seen[instant-out3]: 2 done, 1 running, 1 waiting" in line for line in seen.lines)
    assert sum("running" in line for line in seen.lines) == 3
