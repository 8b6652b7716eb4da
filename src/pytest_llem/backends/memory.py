"""The largest memory that was in use since a moment: of the CUDA allocator, or of this process.

Each starts when it is made. ``bytes()`` is the peak so far, None where it cannot be told; ``how`` says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llem.processes import status_bytes

_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): resets VmHWM to what is resident now


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
        self._hidden = 0  # a peak up to here is one from before
        try:
            _CLEAR.write_text(_RESET_PEAK)
        except OSError:
            self._hidden = status_bytes("self", "VmHWM")
        self._resident = status_bytes("self", "VmRSS")

    def bytes(self) -> int | None:
        peak = status_bytes("self", "VmHWM")
        return peak - self._resident if peak > self._hidden else None
