"""Your own files: a folder, a base URL, or a list of files, on any file system fsspec knows.

Local files are read where they are. Remote ones are copied into the cache once, and again only
when their origin says that they changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from mlops import progress
from mlops.data.files.folders import files_of
from mlops.data.files.remote import copy, exists, file_system, naming
from mlops.data.locations import (
    absent_months,
    holds_months,
    is_month_file,
    named_in,
    places_of_month,
    require_named,
)
from mlops.data.references import SourceFile
from mlops.datasets.taxi.files.periods import pickup_quantiles
from mlops.datasets.taxi.sources import cache
from mlops.errors import SourceError
from mlops.settings import Clock, SourceSettings

_MONTH_IN_NAME = re.compile(r"(?<!\d)\d{4}-(?:0[1-9]|1[0-2])(?!\d)")


def fetch(
    source: SourceSettings, cache_root: Path, clock: Clock = "auto"
) -> tuple[SourceFile, ...]:
    """Find the files of ``source.location`` and bring remote ones into the cache.

    A folder or base URL holds ``<taxi>_tripdata_<month>.parquet`` (or ``.csv``, ``.csv.gz`` and so
    on), directly or in a sub-folder named by the taxi; each may be a folder of parts. Files given
    one by one count as the month in their name, otherwise as the month of their median pickup;
    ``source.months`` does not apply to them.

    Raises:
        ConfigurationError: There is no location, or it names a file twice.
        SourceError: Naming each file or month that is missing, or the file that is unusable.
    """
    locations = named_in(source.location)
    require_named(locations)
    if holds_months(locations, source.taxi):
        urls = _months_in_folder(locations[0], source)
    else:
        urls = [(None, url) for url in _existing_files(locations)]
    return tuple(
        file
        for month, url in urls
        for file in _source_files(url, month, source.taxi, cache_root, clock)
    )


def _months_in_folder(location: str, source: SourceSettings) -> list[tuple[str | None, str]]:
    found: list[tuple[str | None, str]] = []
    missing: list[str] = []
    for month in source.month_list:
        url = _url_of_month(location, source.taxi, month)
        if url is None:
            missing.append(month)
        else:
            found.append((month, url))
    if missing:
        there = months_there(source)
        raise absent_months(
            location, source.taxi, missing, f" (there are: {', '.join(there) or 'none'})"
        )
    return found


def has_month(source: SourceSettings, month: str) -> bool:
    """Tell whether the folder or base URL of ``source.location`` has a month."""
    return _url_of_month(named_in(source.location)[0], source.taxi, month) is not None


def _url_of_month(location: str, taxi: str, month: str) -> str | None:
    candidates = places_of_month(location, taxi, month)
    if "://" in location:
        return next((url for url in candidates if exists(url)), None)
    found = [url for url in candidates if exists(url)]
    if len(found) > 1:
        raise SourceError(
            f"{' and '.join(found)} both hold the {taxi} trips of {month}", "keep one of them"
        )
    return found[0] if found else None


def _existing_files(locations: list[str]) -> list[str]:
    missing = [url for url in locations if not exists(url)]
    if missing:
        raise SourceError(
            f"there is no such file: {', '.join(missing)}", "check the paths in source.location"
        )
    return locations


def _source_files(
    url: str, month: str | None, taxi: str, cache_root: Path, clock: Clock
) -> list[SourceFile]:
    """Reference the files of one table: itself, or the parts of a folder."""
    name = PurePosixPath(url).name
    fs, remote = file_system(url)
    sha256 = None
    if isinstance(fs, LocalFileSystem):
        paths = files_of(remote)
    else:
        path, sha256 = _cached_copy(fs, remote, url, taxi, cache_root)
        paths = [path]
    if month is None:
        in_name = _MONTH_IN_NAME.search(name)
        month = in_name.group() if in_name else _median_month(paths, taxi, clock)
    table = Path(remote) if Path(remote).is_dir() else paths[0]
    return [
        cache.describe(path, taxi, month, str(Path(name, path.relative_to(table))), sha256)
        for path in paths
    ]


def _median_month(files: Sequence[Path], taxi: str, clock: Clock) -> str:
    [median] = pickup_quantiles(files, taxi, [0.5], clock)
    return f"{median:%Y-%m}"


def _cached_copy(fs: Any, remote: str, url: str, taxi: str, cache_root: Path) -> tuple[Path, str]:
    # The same name may come from several places: the address' hash keeps them apart.
    folder = cache_root / "path" / hashlib.sha256(url.encode()).hexdigest()[:16]
    path = folder / PurePosixPath(url).name
    with naming(url):
        version = str(fs.checksum(remote))
    receipt = cache.verified(path)
    if receipt is None or receipt.version != version:
        progress.report(f"copying {url}")
        receipt = cache.store(path, taxi, url, lambda file: copy(fs, remote, url, file), version)
    return path, receipt.sha256


def months_there(source: SourceSettings) -> list[str]:
    """Return the months of ``source.location``, by the names of its files, sorted."""
    locations = named_in(source.location)
    if locations and holds_months(locations, source.taxi):
        locations = _listed(locations[0], source.taxi)
    found = (_MONTH_IN_NAME.search(PurePosixPath(name).name) for name in locations)
    return sorted({match.group() for match in found if match})


def _listed(location: str, taxi: str) -> list[str]:
    fs, root = file_system(location)
    names: list[str] = []
    for folder in (root, f"{root}/{taxi}"):
        # A plain web server cannot list its files; the message does without.
        with suppress(OSError, NotImplementedError):
            names += fs.ls(folder, detail=False)
    return [name for name in names if is_month_file(PurePosixPath(name).name, taxi)]
