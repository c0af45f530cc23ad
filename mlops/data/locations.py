"""What `source.location` names, known before anything is opened or loaded.

The reader of files asks, and so do the checks before work begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mlops.errors import ConfigurationError, SourceError

SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst")


def month_file_name(series: str, month: str) -> str:
    """Return the name the TLC gives to a month's file."""
    return f"{series}_tripdata_{month}{SUFFIXES[0]}"


def named_in(location: str) -> list[str]:
    """Return the folder, base URL or files that a location names.

    Raises:
        ConfigurationError: If it begins like a JSON list and is none; the caller names the setting.
    """
    text = location.strip()
    if text.startswith("["):
        try:
            return [str(name) for name in json.loads(text)]
        except ValueError as error:
            raise ConfigurationError(
                f"{text[:80]!r} is not a JSON list: {error}",
                'write names with commas as ["a,b.parquet", "c.parquet"]',
            ) from error
    if "," in text and "://" not in text and Path(text).expanduser().exists():
        return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def location_of(names: Sequence[str]) -> str:
    """Return the location that names these, whatever characters are in them."""
    plain = all("," not in name and name == name.strip() for name in names)
    return ",".join(names) if plain else json.dumps(names)


def require_named(locations: list[str]) -> None:
    """Make sure that there is a location, and none twice.

    Raises:
        ConfigurationError: If not.
    """
    if not locations:
        raise ConfigurationError(
            "source.location is empty, but the source is 'path'",
            "name a folder, a base URL or files: --source path --location DIR",
        )
    repeated = sorted({name for name in locations if locations.count(name) > 1})
    if repeated:
        raise ConfigurationError(
            f"source.location names {', '.join(repeated)} more than once", "name each file once"
        )


def holds_months(locations: list[str], series: str) -> bool:
    """Tell a folder or base URL of months from tables, which may be folders of parts too."""
    if len(locations) > 1:
        return False
    path = Path(locations[0]).expanduser()
    if "://" in locations[0] or not path.exists():
        return not locations[0].endswith(SUFFIXES)
    if not path.is_dir():
        return False
    # A folder that is named like a file is one table, unless whole months lie in it.
    inside = (file.name for folder in (path, path / series) for file in folder.glob("*"))
    return not locations[0].endswith(SUFFIXES) or any(is_month_file(n, series) for n in inside)


def is_month_file(name: str, series: str) -> bool:
    """Tell whether a file is named like a month of a series."""
    stem = month_file_name(series, "").removesuffix(SUFFIXES[0])
    return name.startswith(stem) and name.endswith(SUFFIXES)


def places_of_month(location: str, series: str, month: str) -> list[str]:
    """Return every path or address at which a month may lie in a folder or base URL."""
    stem = month_file_name(series, month).removesuffix(SUFFIXES[0])
    base = location.rstrip("/")
    return [f"{folder}/{stem}{s}" for s in SUFFIXES for folder in (base, f"{base}/{series}")]


def require_there(location: str, series: str, months: Iterable[str]) -> None:
    """Make sure that what a location names on this machine is there.

    Other places are left to their reader.

    Args:
        location: As in the settings.
        series: Of monthly files; it begins their names.
        months: That a folder must hold; files given one by one are taken as they are.

    Raises:
        ConfigurationError: If the location is empty or names a file twice.
        SourceError: If a file, a folder or a month is missing.
    """
    locations = named_in(location)
    require_named(locations)
    missing = [name for name in locations if not _may_exist(name)]
    if missing:
        raise SourceError(
            f"source.location: {', '.join(missing)} does not exist",
            "check the path, or mount its disk",
        )
    if not holds_months(locations, series):
        return
    absent = [
        month
        for month in months
        if not any(map(_may_exist, places_of_month(locations[0], series, month)))
    ]
    if absent:
        raise absent_months(locations[0], series, absent)


def absent_months(location: str, series: str, months: list[str], note: str = "") -> SourceError:
    """Return the error for months that a folder or base URL does not hold."""
    return SourceError(
        f"{location}: no {series} data for {', '.join(months)}{note}",
        f"put {month_file_name(series, months[0])} there, or ask for other months with --months",
    )


def _may_exist(location: str) -> bool:
    local = location.removeprefix("file://")
    return "://" in local or Path(local).expanduser().exists()
