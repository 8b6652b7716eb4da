"""The largest memory that was in use since a moment: of the CUDA allocator, or of this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): resets VmHWM to what is resident now


class Peak(Protocol):
    """Started when it is made."""

    how: str

    def bytes(self) -> int | None:
        """The peak so far; None where it cannot be told."""
        ...


class CudaPeak:
    """Memory that PyTorch's allocator held, all devices together."""

    how = "torch.cuda.max_memory_reserved, summed over the devices"

    def __init__(self, devices: Sequence[int]) -> None:
        import torch

        self._devices = devices
        torch.cuda.current_device()  # initialises CUDA: before that, the allocator knows no device to reset
        for device in devices:
            torch.cuda.reset_peak_memory_stats(device)

    def bytes(self) -> int | None:
        import torch

        return sum(torch.cuda.max_memory_reserved(device) for device in self._devices)


class ProcessPeak:
    """Growth of this process's resident memory."""

    how = "growth of the process's peak resident memory (VmHWM) from the start of loading"

    def __init__(self) -> None:
        try:
            _CLEAR.write_text(_RESET_PEAK)
        except OSError:
            self._reset = False  # then only a peak above the one before can be seen
        else:
            self._reset = True
        self._resident = _status_bytes("VmRSS")
        self._peak = _status_bytes("VmHWM")

    def bytes(self) -> int | None:
        peak = _status_bytes("VmHWM")
        return peak - self._resident if self._reset or peak > self._peak else None


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"{_STATUS} has no {field}")
