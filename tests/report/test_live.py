"""Progress of a running experiment: a line that comes and goes on a terminal, seldom lines in a log."""

from __future__ import annotations

from pytest_llem.report.live import LogLines, TerminalLine


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
