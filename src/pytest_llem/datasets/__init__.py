"""Prompts, as ids of tokens."""

from pytest_llem.datasets.hub import aienergyscore

__all__ = ["aienergyscore"]
