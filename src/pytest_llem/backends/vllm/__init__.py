"""The vLLM backend: offline inference with vLLM's own engine, its steps followed so that every token is timed."""

from pytest_llem.backends.vllm.backend import VllmBackend

__all__ = ["VllmBackend"]
