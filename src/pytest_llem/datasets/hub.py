"""The prompts of the AI Energy Score, from the hub, at one fixed revision."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from pytest_llem.errors import DatasetError, MissingDependency

REPOSITORY = "AIEnergyScore/text_generation"
REVISION = "2dc92b2ee2cd9776a51ccf08c6c2ab04138370c3"
COLUMN = "text"
SHA256 = "027d3e7490da6f6251cc8df470d0899311c56f2eb8d669f7ff05a0e98a103698"  # of the prompts, a NUL after each


def aienergyscore() -> list[str]:
    """All 1,000 prompts in the file's order, without white space at their ends.

    They are fetched once and then read from the hub's cache. Raises DatasetError where they can neither be found nor
    fetched, and where they are not those that are known.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError:
        raise MissingDependency("huggingface_hub", "transformers") from None
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingDependency("pyarrow", "report") from None
    fetch = partial(snapshot_download, REPOSITORY, repo_type="dataset", revision=REVISION, allow_patterns="*.parquet")
    try:
        try:
            folder = fetch(local_files_only=True)
        except LocalEntryNotFoundError:
            folder = fetch()
        texts: list[str] = []
        for file in sorted(Path(folder).rglob("*.parquet")):
            texts += parquet.read_table(file, columns=[COLUMN])[COLUMN].to_pylist()
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DatasetError(
            f"the data set {REPOSITORY} cannot be had: {reason}",
            hint="it needs the network once; without one, use dataset.source: synthetic or a file of your own",
        ) from error
    texts = [text.strip() for text in texts if text.strip()]
    found = hashlib.sha256("".join(f"{text}\0" for text in texts).encode()).hexdigest()
    if found != SHA256:
        raise DatasetError(
            f"the data set {REPOSITORY} is not as it was: {len(texts)} prompts with the checksum {found[:12]}…",
            hint=f"delete {folder} and try again; it is downloaded anew",
        )
    return texts
