"""Parquet files that the project wrote: what was damaged since then is noticed, and named.

Each page is written with a checksum. Without it a flipped bit may come back as another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlops.records.files import damaged


def write_table(table: Any, path: Path, **options: Any) -> None:
    """Write an Arrow table; options are those of `pyarrow.parquet.write_table`."""
    pq.write_table(table, path, write_page_checksum=True, **options)


def read_table(
    paths: str | Path | Sequence[str | Path],
    way_out: str,
    columns: Sequence[str] | None = None,
    filters: Any = None,
) -> Any:
    """Read one or more files of the same columns as one Arrow table.

    Args:
        paths: Of the files; names of folders are no partitions.
        way_out: What a person does about a damaged file, as for `records.files.read_record`.
        columns: To read, in that order; by default all.
        filters: As for `pyarrow.parquet.read_table`.

    Raises:
        DamagedFileError: Naming the file that is gone or damaged.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    try:
        return _read(files, columns, filters)
    except (OSError, pa.ArrowException) as error:
        for file in files:
            if (why := _fault(file)) is not None:
                raise damaged(file, why, way_out) from error
        raise


def _fault(file: Path) -> str | None:
    try:
        _read([file], None, None)
    except (OSError, pa.ArrowException) as error:
        return str(error)
    return None


def _read(files: list[Path], columns: Sequence[str] | None, filters: Any) -> Any:
    names = None if columns is None else list(columns)
    if len(files) == 1 and filters is None:  # what more takes imports pandas
        with pq.ParquetFile(files[0], page_checksum_verification=True) as opened:
            return opened.read(names)
    return pq.read_table(
        [str(file) for file in files],
        columns=names,
        filters=filters,
        partitioning=None,
        page_checksum_verification=True,
    )
