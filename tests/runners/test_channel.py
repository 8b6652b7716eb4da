"""The line to a worker: whole lines, a hang-up noticed, nonsense refused."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest

from pytest_llem.errors import RunnerError
from pytest_llem.runners.channel import Channel


@pytest.fixture
def line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("x")
    with closing(Channel(folder)) as channel, socket.socket(socket.AF_UNIX) as peer:
        assert channel.receive(0.05) is None
        assert not channel.connected
        peer.connect(str(channel.path))
        yield channel, peer


def test_messages_arrive_whole_and_in_order_however_they_are_cut(line):
    channel, peer = line
    peer.sendall(b'{"type":"hello","protocol":1}\n{"type":"pha')
    assert channel.receive(1.0) == {"type": "hello", "protocol": 1}
    assert channel.receive(0.05) is None
    peer.sendall(b'se","phase":"loading"}\n')
    assert channel.receive(1.0) == {"type": "phase", "phase": "loading"}


def test_a_hang_up_is_an_end_of_file(line):
    channel, peer = line
    assert channel.receive(0.05) is None
    assert channel.connected
    peer.close()
    with pytest.raises(EOFError):
        channel.receive(1.0)
    channel.send("go")  # nobody there: found out by receiving, not by sending


@pytest.mark.parametrize("nonsense", [b"not json\n", b"[1]\n", b'{"kind":"hello"}\n', b"\xff\xfe\n"])
def test_nonsense_is_refused(line, nonsense):
    channel, peer = line
    peer.sendall(nonsense)
    with pytest.raises(RunnerError, match="not its protocol"):
        channel.receive(1.0)


def test_waiting_ends_in_time(line):
    channel, _ = line
    start = time.monotonic()
    assert channel.receive(0.2) is None
    assert 0.15 < time.monotonic() - start < 2


def test_a_folder_with_a_long_path_will_do(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with closing(Channel(folder)) as channel:
        assert channel.path.is_socket()
    assert not channel.path.exists()


def test_a_folder_that_takes_no_socket_says_what_to_set(tmp_path):
    with pytest.raises(RunnerError, match="no socket can be made") as caught:
        Channel(tmp_path / "missing")
    assert caught.value.hint == "set TMPDIR"


def test_a_process_with_a_thousand_files_open_can_listen(tmp_path, thousand_files):
    with closing(Channel(tmp_path)) as channel, socket.socket(socket.AF_UNIX) as peer:
        assert peer.fileno() >= 1024
        assert channel.receive(0.01) is None
        peer.connect(str(channel.path))
        peer.sendall(b'{"type":"hello","protocol":1}\n')
        assert channel.receive(1.0) == {"type": "hello", "protocol": 1}
