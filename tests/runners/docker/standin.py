"""A worker program for tests: speaks the worker's protocol in a bare Python image and does what STANDIN says."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import sys
import time

from pytest_llem.runners.messages import CONFIG_VARIABLE, PROTOCOL_VERSION, encode

folder = pathlib.Path(os.environ[CONFIG_VARIABLE]).parent
PLACES = ("/", "/usr", "/etc", "/tmp", "/dev/shm", str(folder))
connection = socket.socket(socket.AF_UNIX)


def say(kind: str, **fields: object) -> None:
    connection.sendall(encode(kind, **fields))


def hear(kind: str) -> None:
    """Wait for an order; a host that hung up ends the worker."""
    while order := lines.readline():
        if json.loads(order)["type"] == kind:
            return
    os._exit(3)


def converse() -> None:
    say("phase", phase="loading", text="stand-in")
    say("loaded", facts={})
    hear("go")
    start = time.monotonic()
    say("ready", window=1)
    hear("go")
    say("window", window=1, start=start, end=time.monotonic())
    shutil.copy(folder / "canned.json", folder / "result-1.json")
    say("result", file="result-1.json")


def busy() -> None:
    print("progress", flush=True)
    while True:
        say("progress", phase="warmup", done=1, total=2)
        time.sleep(0.05)


def look_around() -> None:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    found = {
        "uid": os.getuid(),
        "capabilities": [int(status[key], 16) for key in ("CapEff", "CapPrm", "CapBnd")],
        "no_new_privileges": status["NoNewPrivs"],
        "interfaces": [name for _, name in socket.if_nameindex()],
        "shm_bytes": shutil.disk_usage("/dev/shm").total,
        "cwd": str(pathlib.Path.cwd()),
        "token": os.environ.get("HF_TOKEN"),
        "parent": pathlib.Path("/proc/1/comm").read_text().strip(),
        "writable": [path for path in PLACES if os.access(path, os.W_OK)],
        "monotonic": time.monotonic(),
    }
    # the token is compared by the test, and must not be found in the exchange folder afterwards
    found["token"] = found["token"] == "secret-in-a-test"
    (folder / "around.json").write_text(json.dumps(found))


def act(what: str) -> None:
    if what == "look":
        look_around()
        converse()
    elif what == "result":
        converse()
        hear("close")
    elif what == "result on a sign":
        say("progress", phase="warmup", done=1, total=2)
        while not (folder / "sign").exists():
            time.sleep(0.02)
        converse()
    elif what == "result then crash":
        converse()
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "crash":
        print("the last words of a worker", file=sys.stderr)
        os._exit(7)
    elif what == "error":
        say("error", error_type="BackendError", message="no such model", hint="name another")
    elif what == "silent":
        time.sleep(600)
    elif what == "busy":
        busy()
    elif what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        busy()
    elif what == "greedy":
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20) * 8))
    elif what == "fill":
        try:
            with (folder / "filling").open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))
        except OSError as error:
            say("error", error_type="RunnerError", message=f"the result cannot be written: {error.strerror}", hint=None)
    elif what == "chatty":
        for number in range(200_000):
            print(f"line {number} " + "x" * 60)
        converse()


connection.connect(str(folder / "llem.sock"))
lines = connection.makefile("rb")
say("hello", protocol=PROTOCOL_VERSION, pid=os.getpid(), versions={})
what = folder / "act"
act(what.read_text() if what.exists() else os.environ["STANDIN"])
