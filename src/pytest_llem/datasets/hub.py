"""The prompts of the AI Energy Score, from the hub, at one fixed revision."""

from __future__ import annotations

from pathlib import Path

from pytest_llem.errors import DatasetError, MissingDependency

REPOSITORY = "AIEnergyScore/text_generation"
REVISION = "2dc92b2ee2cd9776a51ccf08c6c2ab04138370c3"
COLUMN = "text"


def read_aienergyscore() -> list[str]:
    """All 1,000 prompts in the file's order; raises DatasetError where they can neither be found nor fetched."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingDependency("huggingface_hub", "transformers") from None
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingDependency("pyarrow", "report") from None
    try:
        folder = snapshot_download(REPOSITORY, repo_type="dataset", revision=REVISION, allow_patterns="*.parquet")
        texts: list[str] = []
        for file in sorted(Path(folder).rglob("*.parquet")):
            texts += parquet.read_table(file, columns=[COLUMN])[COLUMN].to_pylist()
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DatasetError(
            f"the data set {REPOSITORY} cannot be had: {reason}",
            hint="it needs the network once; without one, use dataset.source: synthetic or a file of your own",
        ) from error
    return texts
