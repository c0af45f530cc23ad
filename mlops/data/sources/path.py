"""Your own files: a folder, a base URL, or a list of files, on any file system fsspec knows.

Local files are read where they are. Remote ones are copied into the cache once, and again only
when their origin says that they changed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mlops import progress
from mlops.data.reading import read_trips
from mlops.data.references import SourceFile
from mlops.data.sources import cache
from mlops.data.trips import PICKUP_AT
from mlops.errors import ConfigurationError, MlopsError, SourceError
from mlops.settings import SourceSettings

_MONTH_IN_NAME = re.compile(r"(?<!\d)\d{4}-(?:0[1-9]|1[0-2])(?!\d)")


def fetch(source: SourceSettings, cache_root: Path) -> tuple[SourceFile, ...]:
    """Find the files of ``source.location`` and bring remote ones into the cache.

    A folder or base URL holds ``<taxi>_tripdata_<month>.parquet``, directly or in a sub-folder
    named by the taxi. Files given one by one count as the month in their name, otherwise as the
    month of their median pickup; ``source.months`` does not apply to them.

    Raises:
        ConfigurationError: There is no location, or it names a file twice.
        SourceError: Naming each file or month that is missing, or the file that is unusable.
    """
    locations = [part.strip() for part in source.location.split(",") if part.strip()]
    if not locations:
        raise ConfigurationError(
            "source.location is empty, but the source is 'path'",
            "name a folder, a base URL or files: --source path --location DIR",
        )
    if len(locations) == 1 and not locations[0].endswith(".parquet"):
        urls = _months_in_folder(locations[0], source)
    else:
        urls = [(None, url) for url in _existing_files(locations)]
    return tuple(_source_file(url, month, source.taxi, cache_root) for month, url in urls)


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
        raise SourceError(
            f"{location}: no {source.taxi} trips for {', '.join(missing)}"
            f" (there are: {', '.join(there) or 'none'})",
            f"put {cache.month_file_name(source.taxi, missing[0])} there,"
            " or ask for other months with --months",
        )
    return found


def has_month(source: SourceSettings, month: str) -> bool:
    """Tell whether the folder or base URL of ``source.location`` has a month."""
    return _url_of_month(source.location.strip(), source.taxi, month) is not None


def _url_of_month(location: str, taxi: str, month: str) -> str | None:
    name = cache.month_file_name(taxi, month)
    base = location.rstrip("/")
    candidates = (f"{base}/{name}", f"{base}/{taxi}/{name}")
    return next((url for url in candidates if _exists(url)), None)


def _existing_files(locations: list[str]) -> list[str]:
    repeated = sorted({url for url in locations if locations.count(url) > 1})
    if repeated:
        raise ConfigurationError(
            f"source.location names {', '.join(repeated)} more than once", "name each file once"
        )
    missing = [url for url in locations if not _exists(url)]
    if missing:
        raise SourceError(
            f"there is no such file: {', '.join(missing)}", "check the paths in source.location"
        )
    return locations


def _source_file(url: str, month: str | None, taxi: str, cache_root: Path) -> SourceFile:
    name = PurePosixPath(url).name
    fs, remote = _file_system(url)
    if isinstance(fs, LocalFileSystem):
        path, sha256 = Path(remote), None
    else:
        path, sha256 = _cached_copy(fs, remote, url, taxi, cache_root)
    if month is None:
        in_name = _MONTH_IN_NAME.search(name)
        month = in_name.group() if in_name else _median_month(path, taxi)
    return cache.describe(path, taxi, month, name, sha256)


def _median_month(path: Path, taxi: str) -> str:
    pickups = read_trips(path, taxi, [PICKUP_AT])[PICKUP_AT].dropna()
    if pickups.empty:
        raise SourceError(
            f"{path}: there are no pickup times to tell its month from",
            "put the month in the file's name, e.g. trips_2024-01.parquet",
        )
    return str(pickups.sort_values().iloc[len(pickups) // 2].strftime("%Y-%m"))


def _cached_copy(fs: Any, remote: str, url: str, taxi: str, cache_root: Path) -> tuple[Path, str]:
    # The same name may come from several places: the address' hash keeps them apart.
    folder = cache_root / "path" / hashlib.sha256(url.encode()).hexdigest()[:16]
    path = folder / PurePosixPath(url).name
    with _remote_errors(url):
        version = str(fs.checksum(remote))
    receipt = cache.verified(path)
    if receipt is None or receipt.version != version:
        progress.report(f"copying {url}")
        receipt = cache.store(path, taxi, url, lambda copy: _copy(fs, remote, url, copy), version)
    return path, receipt.sha256


def _copy(fs: Any, remote: str, url: str, copy: Path) -> None:
    with _remote_errors(url), fs.open(remote, "rb") as origin, copy.open("wb") as stream:
        shutil.copyfileobj(origin, stream, 1 << 20)


def _file_system(url: str) -> tuple[Any, str]:
    with _remote_errors(url):
        local = "://" not in url
        fs, path = fsspec.core.url_to_fs(str(Path(url).expanduser().resolve()) if local else url)
        # Listings are kept per process by some file systems; a file may have arrived since.
        fs.invalidate_cache()
    return fs, path


def _exists(url: str) -> bool:
    fs, path = _file_system(url)
    with _remote_errors(url):
        try:
            return bool(fs.info(path)["type"] != "directory")
        except FileNotFoundError as error:
            if isinstance(error.__cause__, OSError):
                # fsspec's HTTP file system says "not found" for a server out of reach as well.
                raise error.__cause__ from None
            return False


def months_there(source: SourceSettings) -> list[str]:
    """Return the months of ``source.location``, by the names of its files, sorted."""
    locations = [part.strip() for part in source.location.split(",") if part.strip()]
    if len(locations) == 1 and not locations[0].endswith(".parquet"):
        locations = _listed(locations[0], source.taxi)
    found = (_MONTH_IN_NAME.search(PurePosixPath(name).name) for name in locations)
    return sorted({match.group() for match in found if match})


def _listed(location: str, taxi: str) -> list[str]:
    fs, root = _file_system(location)
    pattern = cache.month_file_name(taxi, "*")
    try:
        return [*fs.glob(f"{root}/{pattern}"), *fs.glob(f"{root}/{taxi}/{pattern}")]
    except (OSError, NotImplementedError):
        # A plain web server cannot list its files; the message does without.
        return []


@contextmanager
def _remote_errors(url: str) -> Iterator[None]:
    """Turn whatever a file system raises into a `SourceError`: they share no base class."""
    try:
        yield
    except MlopsError:
        raise
    except Exception as error:
        raise SourceError(
            f"{url}: cannot be read: {type(error).__name__}: {error}",
            "check the address, the credentials and the network",
        ) from error
