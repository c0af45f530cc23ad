"""The files of a declared dataset: found, copied if they are on another machine, and counted.

A location with ``{month}`` names a file, or a folder of parts, for each month; one without holds
rows of any time.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from fsspec.implementations.local import LocalFileSystem

from mlops import fingerprints, progress
from mlops.data.files.described import Count, describe
from mlops.data.files.folders import files_of
from mlops.data.files.remote import copy, exists, file_system, naming
from mlops.data.files.tables import open_table
from mlops.data.locations import named_in, require_named
from mlops.data.months import months_as_text
from mlops.data.quality import REASONS, SOURCE
from mlops.data.references import Extraction
from mlops.data.store.windows import SPLIT
from mlops.datasets.declared.reading import MONTH, iter_frames
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import ConfigurationError, SourceError
from mlops.records.atomic import atomic_file
from mlops.settings import ALL_MONTHS, Settings, SourceSettings

_MONTH_GLOB: Final = "????-??"
_LOOKED_AT: Final = 1_000  # rows whose types are checked before all are read
_RESERVED: Final = (SPLIT, REASONS, SOURCE)


def extract(
    definition: DatasetDefinition, settings: Settings, *, labels: bool = True
) -> Extraction:
    """Bring the files of a dataset within reach and check that they have its columns.

    Args:
        definition: Of the dataset.
        settings: `settings.source.location` replaces the definition's; `settings.source.months`
            chooses among months.
        labels: As in `mlops.datasets.declared.reading.iter_frames`.

    Returns:
        One reference per file, with its hash, bytes and rows.

    Raises:
        ConfigurationError: If a training set of such a dataset cannot be built, or the location
            names nothing.
        SourceError: Naming each file or month that is missing, or the file that is unusable.
    """
    _require_preparable(definition)
    locations = named_in(settings.source.location or definition.source.location)
    require_named(locations)
    count = partial(rows_of, definition, labels=labels)
    return Extraction(
        dataset=definition.name,
        kind="path",
        synthetic=False,
        files=tuple(
            describe(path, count, month, name)
            for location in locations
            for month, address in _addresses(location, settings.source)
            for path, name in _files_at(address, count, settings.cache)
        ),
    )


def rows_of(definition: DatasetDefinition, path: Path, *, labels: bool = True) -> int:
    """Count the rows of a file, unless it lacks a column or has one of another type.

    Args:
        definition: Declares the columns.
        path: Of the file.
        labels: As in `mlops.datasets.declared.reading.iter_frames`.

    Raises:
        SourceError: Naming the file, and the column if there is one.
    """
    next(iter_frames(definition, str(path), _LOOKED_AT, labels=labels), None)
    with open_table(path) as table:
        return table.count()


def as_extracted(settings: Settings, extraction: Extraction) -> Settings:
    """Return the configuration with the months that were found, if all were asked for."""
    return asking_for(settings, tuple(sorted({file.month for file in extraction.files} - {""})))


def asking_for(settings: Settings, months: tuple[str, ...]) -> Settings:
    """Return the configuration that names months, if it asks for all there are and there are any.

    Args:
        settings: The configuration.
        months: ``YYYY-MM``, oldest first.
    """
    if not months or settings.source.months != ALL_MONTHS:
        return settings
    source = settings.source.model_copy(update={"months": months_as_text(months)})
    return settings.model_copy(update={"source": source})


def _require_preparable(definition: DatasetDefinition) -> None:
    if definition.histories and definition.split.by != "time":
        raise ConfigurationError(
            f"{definition.name}: the definition declares histories and splits rows"
            f" by: {definition.split.by}, so what histories know would include what the test asks",
            "write split: {by: time}, or remove the histories",
        )
    for name in _RESERVED:
        if name in definition.columns:
            raise ConfigurationError(
                f"{definition.name}: a column is called {name}, which is the name of a column that"
                " preparing adds",
                "rename it in the files and in the definition",
            )


def _addresses(location: str, source: SourceSettings) -> Iterator[tuple[str, str]]:
    """Find the months of a location, and where each lies; no month if it has none."""
    if MONTH not in location:
        yield "", location
        return
    months = source.month_list or months_at(location)
    if not months:
        raise SourceError(f"{location}: there is no file of any month", "check source.location")
    missing = [month for month in months if not exists(location.replace(MONTH, month))]
    if missing:
        found = ", ".join(months_at(location)) or "none"
        raise SourceError(
            f"{location}: there is no file for {', '.join(missing)} (there are: {found})",
            f"put {PurePosixPath(location.replace(MONTH, missing[0])).name} there, or ask for"
            " other months with --months",
        )
    yield from ((month, location.replace(MONTH, month)) for month in months)


def months_at(location: str) -> tuple[str, ...]:
    """Return the months of which a location with ``{month}`` has files, oldest first.

    Raises:
        SourceError: If it cannot be asked.
    """
    fs, pattern = file_system(location)
    with naming(location):
        paths = fs.glob(_MONTH_GLOB.join(map(glob.escape, pattern.split(MONTH))))
    first, *more = map(re.escape, pattern.split(MONTH))
    form = re.compile(
        first + r"(?P<month>\d{4}-(?:0[1-9]|1[0-2]))" + "(?P=month)".join(more), re.DOTALL
    )
    found = (form.fullmatch(str(path)) for path in paths)
    return tuple(sorted({match["month"] for match in found if match}))


def _files_at(address: str, count: Count, cache: Path) -> Iterator[tuple[Path, str]]:
    """Find the files of one table on this machine, and what a person knows them by."""
    fs, remote = file_system(address)
    name = PurePosixPath(remote).name
    if not isinstance(fs, LocalFileSystem):
        yield _cached_copy(address, count, cache), name
        return
    for path in files_of(remote):
        inside = path.relative_to(remote)
        yield path, str(PurePosixPath(name) / inside.as_posix())


def _cached_copy(address: str, count: Count, cache: Path) -> Path:
    """Copy a remote file, unless there is a copy of what is there now."""
    fs, remote = file_system(address)
    with naming(address):
        key = fingerprints.of_values(address, str(fs.checksum(remote)))
    path = cache / "tables" / key[:16] / PurePosixPath(remote).name
    if not path.is_file():
        progress.report(f"copying {address}")
        with atomic_file(path) as temporary:
            copy(fs, remote, address, temporary)
            count(temporary)  # a file enters the cache only when it is whole
    return path
