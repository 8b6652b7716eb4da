"""What an experiment needs of its host beside the worker: folders that it reads, and a network for what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llem.backends.models import has_random_weights
from pytest_llem.datasets.hub import REPOSITORY, REVISION
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
    named = [*_models(config), *filter(None, [config.model.tokenizer])]
    paths = [name for name in named if is_folder(name)]
    if config.dataset.source.endswith(DATASET_SUFFIXES):
        paths.append(config.dataset.source)
    folders = dict.fromkeys(place for path in paths for place in _places(base, path))
    return Needs(tuple(folders), not hub.is_offline(environment) and _lacks(config, hub.hub_cache(environment)))


def _models(config: ExperimentConfig) -> Iterator[str]:
    """The model, and the smaller one that drafts for it."""
    yield config.model.id
    if config.pytorch is not None and config.pytorch.assistant_model:
        yield config.pytorch.assistant_model
    if config.vllm is not None and config.vllm.engine.speculative_config:
        drafter = config.vllm.engine.speculative_config.get("model")
        if isinstance(drafter, str) and "/" in drafter:  # else it is the name of a method
            yield drafter


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
        here = has_random_weights(model) or is_folder(model)
        if not here and not hub.has_model(cache, model, revision if model == config.model.id else None):
            return True
    tokenizer = config.model.tokenizer
    if tokenizer and not is_folder(tokenizer) and not hub.has_tokenizer(cache, tokenizer):
        return True
    prompts = config.dataset.source == "aienergyscore"
    return prompts and not hub.has_dataset(cache, REPOSITORY, REVISION, "*.parquet")
