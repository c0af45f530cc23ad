"""Tables in files as they are in the world: parquet, CSV and compressed CSV, read in batches.

What a file is, its first bytes say, and never its name. CSV has no types: its values come as bytes,
and `mlops.data.files.conversion` converts them like any text. Memory holds a few batches.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fsspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mlops.data.files.folders import files_of
from mlops.errors import SourceError

_PARQUET: Final = b"PAR1"
_COMPRESSED: Final[dict[bytes, Callable[[Any], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream), "zstd"),
}
_OTHER: Final = {
    b"PK\x03\x04": "a zip archive or a workbook",
    b"ARROW1": "an Arrow file",
    b"PARE": "an encrypted parquet file",
    b"SQLite": "an SQLite database",
}
_DELIMITERS: Final = (",", ";", "\t", "|")
_HEAD_BYTES: Final = 1 << 16
_BLOCK_BYTES: Final = 1 << 20  # of CSV: no line may be longer
_BUFFER_BYTES: Final = 1 << 20  # of parquet: a column chunk is not read whole
_UNREADABLE: Final = (
    *(pa.ArrowException, OSError, ImportError, EOFError, ValueError),
    *(zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class Table:
    """An open file.

    Attributes:
        fields: Name and Arrow type of each column, in the order of the file.
        count: Counts the rows.
        batches: Given positions of columns and a number of rows, reads these columns that many
            rows at a time; the last batch may be shorter.
    """

    fields: Sequence[tuple[str, Any]]
    count: Callable[[], int]
    batches: Callable[[Sequence[int], int], Iterator[Any]]


@contextmanager
def open_table(path: str | Path) -> Iterator[Table]:
    """Open a file; whatever it turns out to be instead becomes a `SourceError`.

    Args:
        path: Of a local file, or an fsspec URL.

    Raises:
        SourceError: Naming the file, and what to do.
    """
    try:
        with _open_bytes(path) as stream:
            head = _head(stream)
            _refuse_what_is_no_table(head, path)
            if head.startswith(_PARQUET):
                yield _parquet_table(stream, path)
            else:
                yield _csv_table(path, stream)
    except FileNotFoundError as error:
        raise SourceError(
            f"{path}: there is no such file", "check the location and the months"
        ) from error
    except MemoryError:
        raise  # pyarrow's own is an ArrowException too
    except _UNREADABLE as error:
        raise SourceError(
            f"{path}: cannot be read: {str(error).strip() or type(error).__name__}",
            "the file is damaged, unreachable or not a table: repair it, fetch it again, "
            "or move it out of the folder of the table",
        ) from error


def rebatched(batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Cut batches of any sizes into tables of ``rows`` rows; only the last may be shorter."""
    waiting: list[Any] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.num_rows
        while held >= rows:
            whole = pa.Table.from_batches(waiting)
            yield whole.slice(0, rows)
            waiting = whole.slice(rows).to_batches()
            held -= rows
    if held:
        yield pa.Table.from_batches(waiting)


@contextmanager
def _open_bytes(path: str | Path) -> Iterator[Any]:
    if isinstance(path, Path) or "://" not in path:
        if Path(path).is_dir():
            raise SourceError(f"{path}: this is a folder", "name the files in it")
        [file] = files_of(path)
        with file.open("rb") as stream:
            yield stream
    else:
        with fsspec.open(str(path), "rb").open() as stream:
            yield stream


def _head(stream: Any) -> bytes:
    head: bytes = stream.read(512)
    stream.seek(0)
    return head


def _refuse_what_is_no_table(head: bytes, path: str | Path) -> None:
    if not head:
        raise SourceError(f"{path}: the file is empty (0 bytes)", "delete it and fetch it again")
    if head.lstrip()[:1] == b"<":
        raise SourceError(
            f"{path}: this is an HTML or XML page saved as a table, probably an error page",
            "delete it, open its address in a browser to see the error, and fetch it again",
        )
    for magic, what in _OTHER.items():
        if head.startswith(magic):
            raise SourceError(
                f"{path}: this is {what}, not parquet or CSV", "save the table as parquet or CSV"
            )


def _parquet_table(stream: Any, path: str | Path) -> Table:
    stream.seek(0, 2)
    stream.seek(max(0, stream.tell() - 4))
    if stream.read(4) != _PARQUET:
        raise SourceError(
            f"{path}: the file is truncated: its parquet footer is missing",
            "delete it and fetch it again",
        )
    # Arrow reads local files faster by itself than through a Python stream.
    local = isinstance(path, Path) or "://" not in path
    source = pa.OSFile(str(path)) if local else stream
    file = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES)
    names = [str(name) for name in file.schema_arrow.names]

    def batches(columns: Sequence[int], rows: int) -> Iterator[Any]:
        wanted = [names[column] for column in columns]
        if not wanted:
            return
        for batch in file.iter_batches(rows, columns=wanted):
            yield pa.Table.from_batches([batch]).select(wanted)

    return Table(
        [(name, field.type) for name, field in zip(names, file.schema_arrow, strict=True)],
        lambda: int(file.metadata.num_rows),
        batches,
    )


def _csv_table(path: str | Path, stream: Any) -> Table:
    text = _decompressed(stream)
    head = text.read(_HEAD_BYTES)
    if not head or head.startswith(_PARQUET):
        what = "compressed parquet: decompress it" if head else "a compressed file without content"
        raise SourceError(f"{path}: this is {what}", "give parquet, CSV or compressed CSV")
    encoding, skipped, names, delimiter = _header(head, path)

    def read(columns: Sequence[int]) -> Iterator[Any]:
        keys = [f"c{position}" for position in range(len(names))]
        options = pa_csv.ConvertOptions(
            include_columns=[keys[column] for column in columns],
            column_types=dict.fromkeys(keys, pa.binary()),
            strings_can_be_null=True,
        )
        with _open_bytes(path) as again:
            yield from pa_csv.open_csv(
                _native(path, _decompressed(again)),
                read_options=pa_csv.ReadOptions(
                    use_threads=False,  # an error names its row
                    block_size=_BLOCK_BYTES,
                    skip_rows=skipped,
                    column_names=keys,
                    encoding=encoding,
                ),
                parse_options=pa_csv.ParseOptions(delimiter=delimiter),
                convert_options=options,
            )

    def batches(columns: Sequence[int], rows: int) -> Iterator[Any]:
        for table in rebatched(read(columns), rows):
            yield table.rename_columns([names[column] for column in columns])

    def count() -> int:
        return sum(batch.num_rows for batch in read([0]))

    return Table([(name, pa.string()) for name in names], count, batches)


def _native(path: str | Path, stream: Any) -> Any:
    """Return Arrow's own stream of a local file that is not compressed.

    Arrow reads ahead in a thread, and one that waits for Python aborts a process that ends.
    """
    local = isinstance(path, Path) or "://" not in path
    return pa.OSFile(str(path)) if local and isinstance(stream, io.BufferedReader) else stream


def _decompressed(stream: Any) -> Any:
    head = _head(stream)
    for magic, opened in _COMPRESSED.items():
        if head.startswith(magic):
            return opened(stream)
    return stream


def _header(head: bytes, path: str | Path) -> tuple[str, int, list[str], str]:
    """Return the encoding, the lines up to the data, the columns' names and the delimiter."""
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if utf16 else "utf8"
    text = head.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None or "\0" in lines[first]:
        raise SourceError(
            f"{path}: this is neither parquet nor CSV (it starts with {head[:8]!r})",
            "give a parquet or CSV file",
        )
    delimiter = max(_DELIMITERS, key=lines[first].count)
    [names] = csv.reader(io.StringIO(lines[first]), delimiter=delimiter, skipinitialspace=True)
    return encoding, first + 1, [name.strip() for name in names], delimiter
