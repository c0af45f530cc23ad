"""The canonical form of a table and its hash: equal values give equal bytes, however they lie.

The order of rows, row groups, compression, and the several ways to write a missing number or a
zero are properties of a file, not of the data; none of them reaches the hash.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops.records.parquet import read_table

# What a person does about damaged files between the source and a training set, or of one.
STAGED_ANEW: Final = "build the training set again: mlops run --rebuild"


def read_canonical(path: str | Path, event: str) -> Any:
    """Read a parquet file as an Arrow table sorted by all columns, the event first.

    Args:
        path: Local file with any number of columns of numbers, times and texts.
        event: The column by which rows are sorted before all others; empty if there is none.

    Returns:
        The table, nulls last, with NaN as null and without negative zeros.

    Raises:
        DamagedFileError: If the file is gone or damaged.
    """
    table = read_table(path, STAGED_ANEW).replace_schema_metadata(None)
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            # Adding zero turns -0.0 into 0.0; from_pandas turns every NaN into null.
            values = table.column(index).to_numpy() + field.type.to_pandas_dtype()(0)
            table = table.set_column(index, field.name, pa.array(values, from_pandas=True))
    names = sorted(table.column_names, key=lambda name: name != event)  # the event first
    return table.sort_by([(name, "ascending") for name in names])


def values_sha256(table: Any) -> str:
    """Hash the names, types and values of a canonical table, in linear time.

    Raises:
        TypeError: If a column holds neither numbers nor times nor texts.
    """
    digest = hashlib.sha256()
    for field in table.schema:
        digest.update(f"{field.name}:{field.type}:{table.num_rows}\n".encode())
        for values in _canonical_arrays(table.column(field.name), field):
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.hexdigest()


def _canonical_arrays(column: Any, field: Any) -> list[Any]:
    """Return arrays of plain values that determine a column and are determined by it."""
    if not pa.types.is_string(field.type):
        values = column.to_numpy()  # a null becomes the one NaN or NaT of numpy
        if values.dtype == object:
            raise TypeError(f"the column {field.name} has no canonical bytes: {field.type}")
        return [values]
    # Lengths in bytes, -1 for what is missing, and then all the bytes.
    lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy()
    present = [np.frombuffer(text, np.uint8) for text in _bytes_of(column.drop_null())]
    return [lengths.astype(np.int64), *present]


def _bytes_of(texts: Any) -> list[Any]:
    """Return the bytes of texts without nulls, by chunk."""
    found = []
    for chunk in texts.chunks:
        chunk = chunk.cast(pa.large_string())
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        found.append(data[ends[0] : ends[-1]] if data is not None else b"")
    return found


def column_types(path: str | Path) -> dict[str, str]:
    """Return the pandas type of each column of a parquet file, by name."""
    empty = pq.read_schema(path).empty_table().to_pandas()
    return {str(name): str(dtype) for name, dtype in empty.dtypes.items()}
