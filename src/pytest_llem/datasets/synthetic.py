"""Synthetic prompts: exactly as many random token ids as asked for, the same ones on every machine."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from statistics import NormalDist

_RESERVED = 1000  # most tokenizers keep their special tokens and single bytes among their first thousand ids

# Lengths of the prompts of the AI Energy Score (AIEnergyScore/text_generation), counted in words: 1,000 prompts, median
# 98, mean 288, 95th percentile 1,057, longest 15,382. This sigma gives mean and percentile to 2.5 %.
_MEDIAN, _SIGMA, _LONGEST = 98, 1.455, 15_382


def synthetic_prompts(lengths: Sequence[int], vocabulary: int, seed: int) -> list[list[int]]:
    """A prompt of each length, of ids below ``vocabulary``, without the lowest ids, where special tokens live.

    Drawn from SHAKE-256 over (seed, number of the prompt), so that neither Python's nor numpy's version matters, and
    prompt number k is the same however many there are.
    """
    lowest = min(_RESERVED, vocabulary // 4)
    span = vocabulary - lowest
    prompts = []
    for number, tokens in enumerate(lengths):
        drawn = hashlib.shake_256(f"llem prompt {seed} {number}".encode()).digest(4 * tokens)
        prompts.append([lowest + value % span for value in struct.unpack(f"<{tokens}I", drawn)])
    return prompts


def prompt_lengths(n: int, tokens: int, distribution: str, seed: int) -> list[int]:
    """Lengths in tokens: all ``tokens`` (fixed), evenly from 1 to ``tokens`` (uniform), or log-normal.

    Log-normal lengths have the figures of the AI Energy Score's prompts and know nothing of ``tokens``. Quantiles are a
    sequence of Weyl's, so that few prompts are spread like many, and number k is the same however many there are.
    """
    if distribution == "fixed":
        return [tokens] * n
    start = int.from_bytes(hashlib.shake_256(f"llem lengths {seed}".encode()).digest(8), "little")
    quantiles = [((start + number * 0x9E3779B97F4A7C15) % 2**64 + 0.5) / 2**64 for number in range(n)]
    if distribution == "uniform":
        return [1 + math.floor(min(quantile, 1 - 2**-53) * tokens) for quantile in quantiles]
    drawn = (_MEDIAN * math.exp(_SIGMA * NormalDist().inv_cdf(min(quantile, 1 - 2**-53))) for quantile in quantiles)
    return [min(max(round(length), 1), _LONGEST) for length in drawn]
