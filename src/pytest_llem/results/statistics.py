"""How much dearer is one set of cycles than another, and how sure is that: arrays in and out, a row for each cell.

The unit is the cycle: windows and prompts inside one share its temperature, its clocks and its process. Everything is
on the log scale, so that +10 % and -10/11 % are the same distance and the ratio of (geometric) means has an interval
that is symmetric there.

*The interval* is the studentised bootstrap's (Hall 1988; Efron and Tibshirani 1993, 12.5) over the residuals of both
sides. The percentile bootstrap is not used: with three cycles against three its nominal 1 % of errors is 8 %, and the
studentised one keeps it (``benchmarks/gates.py`` prints both). Where the noise floor of the GPU is known and these
cycles are not clearly noisier, their variance is pooled with the floor's and Student's t takes the bootstrap's place.

*The p-value* is that of the permutation test of the difference of mean logs: all arrangements when they are few, a
fixed random choice of them when they are many. A test with C arrangements cannot give less than 1/C (3 against 3
cycles: 0.05; 4 against 4: 0.014; 5 against 5: 0.004). Where that is above the level asked for, Welch's t test on the
logs stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from pytest_llem.results.tdist import FloatArray, quantile, upper_tail

RESAMPLES = 2000
ARRANGEMENTS = 5000
"""All arrangements are gone through up to this many (7 against 7: 3432); else this many are drawn."""

TRUST = 1.5
"""A noise floor is believed while the variance of the cycles at hand is at most this many times the floor's."""

_TAIL = 10  # resamples beyond the quantile asked for; with fewer it is mostly chance
_SEED = 20_240_229  # any fixed number: the same data have the same verdict every time
_MOST_NUMBERS = 500_000  # held at once: 4 MB for each intermediate array, which fits a cache


@dataclass(frozen=True)
class Floor:
    """Noise known beforehand, one element for each cell; standard deviations of logs, so 0.01 is 1 %; 0 where unknown.

    ``within``: between cycles of one session. ``between``: between sessions that measured the same."""

    within: FloatArray
    within_dof: FloatArray
    between: FloatArray
    between_dof: FloatArray

    @classmethod
    def none(cls, cells: int) -> Floor:
        """Nothing is known."""
        zero, one = np.zeros(cells), np.ones(cells)
        return cls(zero, one, zero, one)


@dataclass(frozen=True)
class Design:
    """Variances (of logs) that a comparison rests on, one element for each cell, and the numbers of cycles."""

    now: FloatArray
    now_dof: FloatArray
    base: FloatArray
    base_dof: FloatArray
    sessions: FloatArray  # of the difference of two sessions
    sessions_dof: FloatArray
    pooled: np.ndarray[Any, np.dtype[np.bool_]]  # with the noise floor

    def spread(self, n: float | FloatArray, m: float | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Standard error and degrees of freedom (Welch-Satterthwaite) with ``n`` cycles now, ``m`` before."""
        parts = (self.now / n, self.base / m, self.sessions)
        total = parts[0] + parts[1] + parts[2]
        dofs = (self.now_dof, self.base_dof, self.sessions_dof)
        with np.errstate(invalid="ignore", divide="ignore"):
            dof = total**2 / (parts[0] ** 2 / dofs[0] + parts[1] ** 2 / dofs[1] + parts[2] ** 2 / dofs[2])
        return np.sqrt(total), np.where(np.isfinite(dof), dof, 1.0)


@dataclass(frozen=True)
class Changes:
    """log(now / baseline) of every cell with its two-sided interval of level 1 - 2 alpha."""

    shift: FloatArray
    low: FloatArray
    high: FloatArray
    standard_error: FloatArray
    dof: FloatArray
    design: Design


def changes(
    now: FloatArray, base: FloatArray, *, alpha: float, floor: Floor | None = None, resamples: int = RESAMPLES
) -> Changes:
    """Compare logs of figures: ``now`` (cells, n), ``base`` (cells, m).

    ``alpha``: the chance that the interval's lower end is above the truth, and the same for the upper one. Without a
    floor, a side with a single cycle says nothing of its spread, and the interval is infinite."""
    floor = Floor.none(len(now)) if floor is None else floor
    n, m = now.shape[1], base.shape[1]
    design = _design(now, base, floor)
    shift = now.mean(axis=1) - base.mean(axis=1)
    error, dof = design.spread(n, m)
    factor = np.tile(quantile(1 - alpha, dof), (2, 1))
    sampled = ~(design.pooled | (floor.between > 0)) & np.isfinite(error)
    if n > 1 and m > 1 and bool(sampled.any()):
        count = max(resamples, math.ceil(_TAIL / alpha))
        # with three cycles against three, resamples without spread can push the quantile out without bound;
        # Student's t with the smaller side's freedom is wide enough for any two variances
        widest = quantile(1 - alpha, np.array(min(n, m) - 1.0))
        factor[:, sampled] = np.minimum(_bootstrap_factors(now[sampled], base[sampled], alpha, count), widest)
    with np.errstate(invalid="ignore"):
        low, high = shift - factor[0] * error, shift + factor[1] * error
    return Changes(shift, np.where(error > 0, low, shift), np.where(error > 0, high, shift), error, dof, design)


def _variance(values: FloatArray) -> FloatArray:
    return values.var(axis=1, ddof=1) if values.shape[1] > 1 else np.full(len(values), np.inf)


def _design(now: FloatArray, base: FloatArray, floor: Floor) -> Design:
    own = [_variance(values) for values in (now, base)]
    dofs = [values.shape[1] - 1 for values in (now, base)]
    dof = sum(dofs)
    squares = sum((d * v for d, v in zip(dofs, own, strict=True) if d), np.zeros(len(now)))
    known = floor.within**2
    pooled = (known > 0) & (squares <= TRUST * dof * known)
    shared = (squares + floor.within_dof * known) / (dof + floor.within_dof)
    sides = [np.where(pooled, shared, variance) for variance in own]
    # the sides share one estimate, which Welch and Satterthwaite's formula takes for two: half to each
    freedom = [np.where(pooled, (dof + floor.within_dof) / 2, max(d, 1)) for d in dofs]
    return Design(sides[0], freedom[0], sides[1], freedom[1], 2 * floor.between**2, floor.between_dof, pooled)


def _bootstrap_factors(now: FloatArray, base: FloatArray, alpha: float, resamples: int) -> FloatArray:
    """(2, cells): how many standard errors the interval reaches below and above the estimate."""
    n, m = now.shape[1], base.shape[1]
    residuals = np.hstack([now - now.mean(axis=1, keepdims=True), base - base.mean(axis=1, keepdims=True)])
    scale = np.abs(residuals).max(axis=1, keepdims=True)
    residuals = residuals / np.where(scale > 0, scale, 1.0)
    weights_now, weights_base = _resampling(n, m, resamples)
    low_rank = math.floor(alpha * (resamples + 1)) - 1
    ranks = [resamples - 1 - low_rank, low_rank]
    found = np.empty((2, len(now)))
    for part in _parts(len(now), resamples):
        some = residuals[part]
        squares = some * some
        mean_now, mean_base = some @ weights_now, some @ weights_base
        variance = (squares @ weights_now - mean_now**2) / (n - 1) + (squares @ weights_base - mean_base**2) / (m - 1)
        # a resample without spread is as far out as can be, unless it lies exactly in the middle
        t = (mean_now - mean_base) / np.sqrt(np.maximum(variance, 1e-24))
        t.partition(sorted(ranks), axis=1)
        found[0, part], found[1, part] = t[:, ranks[0]], -t[:, ranks[1]]
    return found


@lru_cache(maxsize=64)
def _resampling(n: int, m: int, resamples: int) -> tuple[FloatArray, FloatArray]:
    """Weights (n + m, resamples) that turn residuals into the means of resamples of size ``n`` and ``m``."""
    random = np.random.default_rng((_SEED, n, m))
    even = np.full(n + m, 1 / (n + m))
    return random.multinomial(n, even, resamples).T / n, random.multinomial(m, even, resamples).T / m


def _parts(cells: int, columns: int) -> list[slice]:
    step = max(1, _MOST_NUMBERS // columns)
    return [slice(start, start + step) for start in range(0, cells, step)]


def p_values(now: FloatArray, base: FloatArray, found: Changes, *, alpha: float) -> tuple[FloatArray, bool]:
    """One-sided p-values of "not dearer than before", and whether they are the permutation test's.

    They are when its smallest possible value is at most ``alpha`` (which the caller has divided by the number of
    cells); else Welch's, with the variances of ``found``."""
    if permutation_resolution(now.shape[1], base.shape[1]) <= alpha:
        return permutation_test(now, base), True
    with np.errstate(invalid="ignore", divide="ignore"):
        t = found.shift / found.standard_error
    return upper_tail(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf), found.dof), False


def permutation_resolution(n: int, m: int) -> float:
    """The smallest p-value that the permutation test can give."""
    count = math.comb(n + m, n)
    return 1 / count if count <= ARRANGEMENTS else 1 / (ARRANGEMENTS + 1)


def permutation_test(now: FloatArray, base: FloatArray) -> FloatArray:
    """P(difference of means at least as large as seen), when which side a cycle is on does not matter.

    Exact up to ``ARRANGEMENTS``; beyond, (1 + hits) / (1 + draws) (Phipson and Smyth 2010), which is valid too."""
    n, m = now.shape[1], base.shape[1]
    contrast, exact = _arrangements(n, m)
    everything = np.hstack([now, base])
    everything = everything - everything.mean(axis=1, keepdims=True)
    seen = now.mean(axis=1) - base.mean(axis=1)
    tie = 1e-12 + 1e-9 * np.abs(seen)
    hits = np.empty(len(now))
    for part in _parts(len(now), contrast.shape[1]):
        hits[part] = (everything[part] @ contrast >= (seen - tie)[part, None]).sum(axis=1)
    count = contrast.shape[1]
    return np.asarray(hits / count if exact else (1 + hits) / (1 + count), dtype=np.float64)


@lru_cache(maxsize=64)
def _arrangements(n: int, m: int) -> tuple[FloatArray, bool]:
    """Contrasts (n + m, arrangements) whose product with the values is a difference of means; whether all are there."""
    exact = math.comb(n + m, n) <= ARRANGEMENTS
    if exact:
        chosen = np.array(list(combinations(range(n + m), n)))
    else:
        random = np.random.default_rng((_SEED, n, m))
        chosen = random.permuted(np.tile(np.arange(n + m), (ARRANGEMENTS, 1)), axis=1)[:, :n]
    contrast = np.full((len(chosen), n + m), -1 / m)
    np.put_along_axis(contrast, chosen, 1 / n, axis=1)
    return contrast.T, exact


def holm(p: FloatArray) -> FloatArray:
    """Holm's adjusted p-values (1979): below ``alpha`` where the family's chance of any false alarm is at most that."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
