"""Counts, estimates and lines of a run that goes on."""

from __future__ import annotations

import io

from rich.console import Console

from pytest_llem.report.live import Board, Step, view


def test_a_step_learns_from_its_own_windows_before_that_from_what_is_usual() -> None:
    step = Step("a", began=100.0, since=100.0)
    assert step.left_s(101.0, None) is None
    assert step.left_s(103.0, 20.0) == 17.0
    assert step.left_s(130.0, 20.0) == 0.0
    step = step.then("window", "", 1, 4, 110.0)
    assert step.left_s(111.0, 20.0) == 9.0, "no window is through yet"
    step = step.then("window", "", 2, 4, 115.0)
    assert step.left_s(116.0, 20.0) == 3 * 5.0 - 1.0
    assert step.then("finishing", "", 0, 0, 130.0).left_s(131.0, 40.0) == 9.0


def test_the_board_counts_and_sums_and_says_how_long_all_will_take() -> None:
    board = Board("abcdef")
    assert board.words(0.0) == "0 done, 0 running, 6 waiting"
    board.running = {"a", "b"}
    steps = [Step("a", 0.0, 6.0, "window", done=2, total=3, measuring=4.0), Step("b", 0.0, 0.0)]
    assert steps[0].left_s(6.0, None) == 4.0
    # ten seconds each, as it looks from the first: 4 of a, and b and four more, two at a time
    assert board.words(6.0, steps) == "0 done, 2 running, 4 waiting, about 27 s left"
    board.end("a", 12.0, 1500.0, estimated=False)
    board.end("b", None, None, estimated=True)
    assert board.words(12.0) == "2 done, 0 running, 4 waiting, about 48 s left, 1.50 kJ"
    board.end("b", 12.0, 1.0, estimated=True)
    assert board.words(12.0) == "2 done, 0 running, 4 waiting, about 48 s left, 1.50 kJ", "it counts once"
    board.end("c", 14.0, 500.0, estimated=True)
    assert board.words(12.0) == "3 done, 0 running, 3 waiting, about 39 s left, 2.00 kJ ESTIMATED"


def lines(board: Board, step: Step, width: int) -> list[str]:
    return view(Console(file=io.StringIO(), force_terminal=True, no_color=True), board, [step], 9.0, width)


def test_a_narrow_terminal_cuts_names_but_never_the_word_estimated() -> None:
    board = Board("ab")
    board.end("a", 1.0, 2.0, estimated=True)
    found = lines(board, Step("a-very-long-name-of-an-experiment" * 3, 0.0, 0.0), 40)
    assert "ESTIMATED" in "".join(found)
    assert "a-very-long-name" in found[-1]
    assert "…" in found[-1]


def test_what_a_worker_says_cannot_move_the_cursor() -> None:
    (found,) = lines(Board(()), Step("a", 0.0, 0.0).then("loading", "50 %\r\n\x1b[2J[red]\x07", 0, 0, 0.0), 80)
    assert "loading the model: 50 %   [2J[red]" in found
    assert "\x1b[2J" not in found
    assert "\x07" not in found
