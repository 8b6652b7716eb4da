"""How much figures vary on one GPU when nothing has changed (A/A), remembered in the user's cache for each GPU's UUID.

Two things are kept apart. *Within* a session, cycles differ: that is learned from every run with two cycles or more.
*Between* sessions, the means of cycles differ by more than the cycles say (the room's temperature, neighbours, what ran
before): that is learned only from runs declared to repeat the same code, since any other run might hold a real change.

Both are standard deviations of logs, estimated by a one-way analysis of variance with random effects (Searle, Casella
and McCulloch 1992, 3.6): within = the pooled variance of the cycles; between = (MS of sessions - MS within) / n0.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from pydantic import ValidationError

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import Baseline, Entry
from pytest_llem.results.model import Record
from pytest_llem.results.store import safe_name, write_atomic

LEAST_DOF = 8
"""With fewer degrees of freedom a floor is not yet used: its own uncertainty would be above 25 %."""

MOST_DOF = 20
"""A floor counts as no surer than this, however long it was watched: noise changes with the room and the years."""

LEAST_SESSIONS = 3
"""Repeated sessions, less one for each group, that an estimate of their spread needs."""

MOST_SESSIONS = 12
MOST_GROUPS = 600
METRICS = (
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "mean_power_w",
    "output_tokens_per_s",
    "ttft_s.median",
    "tpot_s.median",
)


class Session(Record):
    """The cycles of one configuration in one run: mean and standard deviation of the logs of a figure."""

    recorded_at: str
    n: int
    mean: float
    sd: float
    repeats: bool  # declared to measure the same as the other sessions of its group


class Group(Record):
    """The sessions that had the same configuration and environment."""

    config_hash: str
    environment_hash: str
    metric: str
    sessions: tuple[Session, ...] = ()


class BoardNoise(Record):
    """What is known of one GPU, or of one set of GPUs used together. Groups seen last are last."""

    format: Literal["llem-noise"] = "llem-noise"
    version: Literal[1] = 1
    board: str
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class NoiseFloor:
    """Standard deviations of logs (0.01 is 1 %) with their degrees of freedom; 0 for what is not known."""

    within: float
    within_dof: float
    between: float
    between_dof: float


def board_key(uuids: Iterable[str]) -> str:
    """One name for the GPUs that an experiment used."""
    return "+".join(sorted(uuids))


def learn(noise: BoardNoise, run: Baseline, *, repeats: bool) -> BoardNoise:
    """Add a run's figures of this board; ``repeats``: the run is declared to measure the same code as those before it.

    Estimates and invalid cycles are left out. A run that was learned already replaces itself."""
    groups = {(g.config_hash, g.environment_hash, g.metric): g for g in noise.groups}
    for entry in run.configurations:
        if not entry.measured or board_key(entry.uuids) != noise.board:
            continue
        for metric in METRICS:
            values = entry.values(metric)
            if len(values) < 2 or min(values) <= 0:
                continue
            logs = np.log(values)
            session = Session(
                recorded_at=run.recorded_at,
                n=len(values),
                mean=float(logs.mean()),
                sd=float(logs.std(ddof=1)),
                repeats=repeats,
            )
            key = (entry.config_hash, entry.environment_hash, metric)
            group = groups.pop(key, None) or Group(config_hash=key[0], environment_hash=key[1], metric=metric)
            others = [known for known in group.sessions if known.recorded_at != run.recorded_at]
            groups[key] = group.model_copy(update={"sessions": (*others, session)[-MOST_SESSIONS:]})
    return noise.model_copy(update={"groups": tuple(groups.values())[-MOST_GROUPS:]})


def floor(noise: BoardNoise, entry: Entry, metric: str) -> NoiseFloor | None:
    """The floor of a metric: the configuration's own where enough is known of it, else that of all on this board."""
    groups = [group for group in noise.groups if group.metric == metric]
    own = [group for group in groups if group.config_hash == entry.config_hash]
    for choice in (own, groups):
        found = _estimate(choice)
        if found.within_dof >= LEAST_DOF:
            return found
    return None


def _estimate(groups: Sequence[Group]) -> NoiseFloor:
    sessions = [session for group in groups for session in group.sessions]
    dof = sum(session.n - 1 for session in sessions)
    if dof == 0:
        return NoiseFloor(0.0, 0.0, 0.0, 0.0)
    within = sum((session.n - 1) * session.sd**2 for session in sessions) / dof
    between, between_dof = _between(groups, within)
    return NoiseFloor(math.sqrt(within), float(min(dof, MOST_DOF)), between, between_dof)


def _between(groups: Sequence[Group], within: float) -> tuple[float, float]:
    squares, dof, size = 0.0, 0, 0.0
    for group in groups:
        repeated = [session for session in group.sessions if session.repeats]
        if len(repeated) < 2:
            continue
        n = np.array([session.n for session in repeated], dtype=np.float64)
        means = np.array([session.mean for session in repeated])
        squares += float((n * (means - np.average(means, weights=n)) ** 2).sum())
        size += float(n.sum() - (n**2).sum() / n.sum())
        dof += len(repeated) - 1
    if dof < LEAST_SESSIONS:
        return 0.0, 1.0
    return math.sqrt(max(0.0, (squares / dof - within) * dof / size)), float(dof)


def board_difference(a: BoardNoise, b: BoardNoise, metric: str) -> float | None:
    """The largest log ratio between two boards' means of what both have measured; None: nothing."""
    means = [{(g.config_hash, g.environment_hash): _mean(g) for g in x.groups if g.metric == metric} for x in (a, b)]
    return max((abs(means[0][key] - means[1][key]) for key in means[0].keys() & means[1].keys()), default=None)


def _mean(group: Group) -> float:
    return float(np.average([s.mean for s in group.sessions], weights=[s.n for s in group.sessions]))


def default_folder() -> Path:
    """``pytest-llem/noise`` in the user's cache (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "pytest-llem" / "noise"


def load(folder: Path, board: str) -> BoardNoise:
    """What is known of a board: nothing yet where there is no file. Raises ResultError for one that is damaged."""
    path = _path(folder, board)
    try:
        noise = BoardNoise.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return BoardNoise(board=board)
    except (OSError, ValueError, ValidationError) as error:
        raise ResultError(
            f"{path}: cannot be read as a noise floor: {str(error).splitlines()[0]}",
            hint="delete it: it is learned anew",
        ) from None
    return noise


def remember(folder: Path, run: Baseline, *, repeats: bool) -> None:
    """Learn from a run for every board in it, safely beside other processes. Raises ResultError."""
    boards = {board_key(entry.uuids) for entry in run.configurations if entry.measured and entry.boards}
    for board in sorted(boards):
        path = _path(folder, board)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                noise = learn(load(folder, board), run, repeats=repeats)
                write_atomic(path, json.dumps(noise.model_dump(mode="json"), allow_nan=False).encode())
        except OSError as error:
            raise ResultError(f"{path}: cannot be written: {error.strerror or error}") from None


def _path(folder: Path, board: str) -> Path:
    several = f"{board.count('+') + 1}-boards-{hashlib.sha256(board.encode()).hexdigest()[:16]}"
    return folder / f"{several if '+' in board else safe_name(board)}.json"
