"""The bundled sample as a source: synthetic months, written once into the cache as TLC files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from mlops.data.locations import month_file_name
from mlops.data.references import SourceFile
from mlops.datasets.taxi.sample.calibration import calibration_version
from mlops.datasets.taxi.sample.generator import iter_month
from mlops.datasets.taxi.sources import cache
from mlops.fingerprints import of_code
from mlops.settings import SourceSettings

# What draws a sample.
_CODE: Final = (
    "datasets/taxi/sample",
    "data/months.py",
    "datasets/taxi/trips.py",
    "datasets/taxi/zones.py",
)


def fetch(source: SourceSettings, cache_root: Path) -> tuple[SourceFile, ...]:
    """Generate the months asked for, unless the cache has them; drift affects the last one."""
    last = source.month_list[-1]
    return tuple(
        _month(source, cache_root, month, source.sample_drift if month == last else 0.0)
        for month in source.month_list
    )


def _month(source: SourceSettings, cache_root: Path, month: str, drift: float) -> SourceFile:
    key = (
        f"rows{source.sample_rows}-seed{source.sample_seed}-drift{drift:g}"
        f"-{of_code(*_CODE)[:8]}-{calibration_version()}"
    )
    path = cache_root / "sample" / source.taxi / key / month_file_name(source.taxi, month)
    receipt = cache.verified(path)
    if receipt is None:
        tables = iter_month(month, source.sample_rows, source.sample_seed, source.taxi, drift)
        url = f"sample://{source.taxi}/{key}/{month}"
        receipt = cache.store(path, source.taxi, url, lambda target: _write(tables, target))
    name = f"{source.taxi} {month} (synthetic sample)"
    return cache.describe(path, source.taxi, month, name, receipt.sha256)


def _write(tables: Iterator[pa.Table], path: Path) -> None:
    """Write tables as they come: a month may be larger than memory."""
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in chain((first,), tables):
            writer.write_table(table)
