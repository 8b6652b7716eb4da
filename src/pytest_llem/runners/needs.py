"""What an experiment needs of its host beside the worker: folders that it reads, and a network for what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llem.backends.models import has_random_weights
from pytest_llem.datasets import hub as prompts
from pytest_llem.runners import hub
from pytest_llem.study.config import DATASET_SUFFIXES, ExperimentConfig
from pytest_llem.study.identity import is_folder


@dataclass(frozen=True)
class Needs:
    """For a :class:`pytest_llem.runners.base.Launch`."""

    read_only: tuple[Path, ...] = ()
    network: bool = False

    def covers(self, other: Needs) -> bool:
        """Whether what was started for these needs can serve others."""
        return set(self.read_only) >= set(other.read_only) and (self.network or not other.network)


def needs_of(config: ExperimentConfig, base: Path, environment: Mapping[str, str] = os.environ) -> Needs:
    """The needs of one experiment; relative paths in it start at ``base``."""
    cache = hub.hub_cache(environment)
    folders = dict.fromkeys(place for path in _paths(config) for place in _places(base, path))
    return Needs(tuple(folders), not hub.is_offline(environment) and _lacks(config, cache))


def _models(config: ExperimentConfig) -> Iterator[str]:
    """The model, and the smaller one that drafts for it."""
    yield config.model.id
    if config.pytorch is not None and config.pytorch.assistant_model:
        yield config.pytorch.assistant_model
    if config.vllm is not None and config.vllm.engine.speculative_config:
        drafter = config.vllm.engine.speculative_config.get("model")
        if isinstance(drafter, str) and "/" in drafter:  # else it is the name of a method
            yield drafter


def _paths(config: ExperimentConfig) -> Iterator[str]:
    yield from (model for model in _models(config) if is_folder(model))
    if config.model.tokenizer and is_folder(config.model.tokenizer):
        yield config.model.tokenizer
    if config.dataset.source.endswith(DATASET_SUFFIXES):
        yield config.dataset.source


def _places(base: Path, path: str) -> Iterator[Path]:
    """A file or folder, and wherever links in it lead: in the hub's cache, files are links to others."""
    place = Path(os.path.normpath(base / Path(path).expanduser()))
    if place.exists():
        yield place
    if place.is_dir():
        targets = (file.resolve().parent for file in place.iterdir() if file.is_symlink())
        yield from (target for target in targets if target.is_dir() and not target.is_relative_to(place))


def _lacks(config: ExperimentConfig, cache: Path) -> bool:
    """Whether something must be downloaded. In doubt it must: a network that is not used does no harm."""
    revision = (config.pytorch and config.pytorch.revision) or config.model.revision
    for model in _models(config):
        built_in_or_here = has_random_weights(model) or is_folder(model)
        if not built_in_or_here and not hub.has_model(cache, model, revision if model == config.model.id else None):
            return True
    tokenizer = config.model.tokenizer
    if tokenizer and not is_folder(tokenizer) and not hub.has_tokenizer(cache, tokenizer):
        return True
    if config.dataset.source != "aienergyscore":
        return False
    return not hub.has_dataset(cache, prompts.REPOSITORY, prompts.REVISION, "*.parquet")
