"""Whether the process that started a container is still alive."""

from __future__ import annotations

import subprocess
import sys

from pytest_llem.processes import is_dead, own_identity


def identity_of_a_dead_process() -> str:
    """The identity that a process gave itself before it ended."""
    program = "from pytest_llem.processes import own_identity; print(own_identity())"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_this_process_is_alive() -> None:
    assert not is_dead(own_identity())


def test_an_ended_process_is_dead() -> None:
    assert is_dead(identity_of_a_dead_process())


def test_a_reused_pid_is_not_mistaken() -> None:
    pid, start, namespace, boot = own_identity().split()
    assert is_dead(f"{pid} {int(start) - 1} {namespace} {boot}")


def test_nothing_outlives_a_reboot() -> None:
    pid, start, namespace, _ = own_identity().split()
    assert is_dead(f"{pid} {start} {namespace} another-boot")


def test_what_another_pid_namespace_holds_cannot_be_told() -> None:
    dead = identity_of_a_dead_process().split()
    assert not is_dead(" ".join([dead[0], dead[1], "1", dead[3]]))


def test_a_label_of_somebody_else_is_left_alone() -> None:
    assert not is_dead("12345")
