"""Files kept on this machine, each with a receipt that proves it is still what was fetched.

A file enters the cache by renames only, the file first and its receipt second: after a crash
between the two, the receipt is absent or does not match, and the file counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mlops import progress
from mlops.data.files import described
from mlops.data.references import SourceFile
from mlops.datasets.taxi.files.reading import check_trip_file
from mlops.errors import SourceError
from mlops.records.atomic import atomic_file
from mlops.records.digests import sha256_of
from mlops.records.files import find_or_report, write_record


class CachedFile(BaseModel):
    """What is known of a cached file, stored beside it as ``<name>.json``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    url: str
    sha256: str
    bytes: int
    version: str  # the origin's own mark of this content, e.g. an ETag; may be empty
    fetched_at: datetime


def verified(path: Path) -> CachedFile | None:
    """Return the receipt of a cached file whose bytes still match it, otherwise None.

    A file that was changed or damaged since it was stored is reported, not raised: the caller
    fetches it again.
    """
    receipt = find_or_report(_receipt_path(path), CachedFile, "its file is fetched again")
    if receipt is None or not path.exists():
        return None
    whole = path.stat().st_size == receipt.bytes and sha256_of(path) == receipt.sha256
    if not whole:
        progress.report(f"{path.name}: the cached file was changed or damaged; fetching it again")
    return receipt if whole else None


def store(
    path: Path, taxi: str, url: str, write: Callable[[Path], object], version: str = ""
) -> CachedFile:
    """Make a file part of the cache, once it is complete and proven to hold trips.

    Args:
        path: Where it shall lie; what is there now stays until the new file has passed.
        taxi: ``green`` or ``yellow``.
        url: Where it comes from.
        write: Puts the file's bytes under the temporary path that it is given.
        version: The origin's own mark of this content.

    Raises:
        SourceError: The file is not whole or has not the schema of a trip file.
    """
    with atomic_file(path) as temporary:
        write(temporary)
        try:
            check_trip_file(temporary, taxi)
        except SourceError as error:
            raise SourceError(error.message.replace(str(temporary), url), error.hint) from error
        receipt = CachedFile(
            url=url,
            sha256=sha256_of(temporary),
            bytes=temporary.stat().st_size,
            version=version,
            fetched_at=datetime.now(timezone.utc),
        )
    write_record(_receipt_path(path), receipt)
    return receipt


def describe(path: Path, taxi: str, month: str, name: str, sha256: str | None = None) -> SourceFile:
    """Reference a file on this machine after checking it; hashes it unless its hash is given.

    Raises:
        SourceError: The file is not whole or has not the schema of a trip file.
    """
    return described.describe(path, partial(check_trip_file, taxi=taxi), month, name, sha256)


def _receipt_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")
