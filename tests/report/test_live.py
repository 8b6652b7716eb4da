"""Progress of a running experiment: a line that comes and goes on a terminal, seldom lines in a log."""

from __future__ import annotations

from pytest_llem.report.live import LogLines, Pace, TerminalLine


def test_a_log_gets_a_line_when_an_experiment_takes_long_and_then_seldom() -> None:
    written: list[str] = []
    clock = [0.0]
    lines = LogLines(written.append, lambda: clock[0])
    for second in range(50):
        clock[0] = float(second)
        lines.show(f"at {second} s")
    assert "".join(written) == "\nat 15 s\nat 30 s\nat 45 s\n"
    lines.clear()
    for second in range(50, 70):
        clock[0] = float(second)
        lines.show(f"at {second} s")
    assert written[3:] == ["\nat 64 s\n"], "the next experiment has a quiet time of its own"


def test_a_terminal_line_is_cut_to_the_room_and_leaves_the_cursor_where_it_was() -> None:
    written: list[str] = []
    room = [20]
    line = TerminalLine(written.append, lambda: room[0])
    line.show("x" * 100)
    assert written == ["\x1b7 " + "x" * 19 + "\x1b[K\x1b8"]
    room[0] = 5
    line.show("no room")
    assert len(written) == 1
    line.clear()
    assert written[-1] == "\x1b[K"


def test_the_time_left_is_learnt_from_what_is_through() -> None:
    clock = [0.0]
    pace = Pace(4, lambda: clock[0])
    pace.begin()
    assert (pace.place(), pace.left_s(None)) == ("1 of 4", None)
    clock[0] = 6.0
    assert pace.left_s(4.0) == 4.0 + 3 * 10.0  # ten seconds each, as it looks from the first
    clock[0] = 12.0
    pace.end()
    pace.begin()
    clock[0] = 15.0
    assert (pace.place(), pace.left_s(None)) == ("2 of 4", 9.0 + 2 * 12.0)
    clock[0] = 40.0
    assert pace.left_s(None) == 2 * 12.0  # slower than the one before: at least the others


def test_an_experiment_more_than_planned_has_a_number_only() -> None:
    pace = Pace(0, lambda: 0.0)
    pace.begin()
    assert (pace.place(), pace.left_s(None)) == ("1", None)
