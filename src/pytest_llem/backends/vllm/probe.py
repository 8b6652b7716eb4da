"""What vLLM's worker processes are asked: mixed into vLLM's worker class through ``worker_extension_cls``.

Answers are plain values, so that they pass through vLLM's messages without pickling.
"""

from __future__ import annotations

import os
from typing import Any


class Probe:
    """Methods for ``LLM.collective_rpc``; ``self`` is vLLM's worker."""

    model_runner: Any

    def llem_describe(self) -> dict[str, str | int]:
        """Where this worker's weights are, and how many bytes and elements, tied ones once."""
        import torch

        weights = list(self.model_runner.get_model().parameters())
        device = weights[0].device
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else ""
        return {
            "pid": os.getpid(),
            "device": str(device),
            "uuid": uuid,
            "elements": sum(weight.numel() for weight in weights),
            "bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        }

    def llem_synchronize(self) -> None:
        """Wait for this worker's device."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def llem_peak_bytes(self) -> int | None:
        """Largest memory that PyTorch's allocator held; None without a GPU."""
        import torch

        return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None
