"""Synthetic prompts: exactly as many random token ids as asked for, the same ones on every machine."""

from __future__ import annotations

import hashlib
import struct

_RESERVED = 1000  # most tokenizers keep their special tokens and single bytes among their first thousand ids


def synthetic_prompts(n: int, tokens: int, vocabulary: int, seed: int) -> list[list[int]]:
    """``n`` prompts of ``tokens`` ids below ``vocabulary``, without the lowest ids, where special tokens live.

    Drawn from SHAKE-256 over (seed, number of the prompt), so that neither Python's nor numpy's version matters, and
    prompt number k is the same however many there are.
    """
    lowest = min(_RESERVED, vocabulary // 4)
    span = vocabulary - lowest
    prompts = []
    for number in range(n):
        drawn = hashlib.shake_256(f"llem prompt {seed} {number}".encode()).digest(4 * tokens)
        prompts.append([lowest + value % span for value in struct.unpack(f"<{tokens}I", drawn)])
    return prompts
