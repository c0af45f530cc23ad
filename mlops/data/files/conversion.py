"""Values of any Arrow type to times, numbers and ids; what cannot be one is named with its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops.data.clock import NEW_YORK_NAME
from mlops.errors import SourceError

# A zone that is missing or not a whole number becomes this: outside 1 to 265, hence for the data
# contract to refuse row by row, rather than for one row to make its whole file unreadable.
NO_ZONE: Final = 0

_TIME: Final = pa.timestamp("us")
_OFFSET: Final = r"(Z|[+-]\d\d(:?\d\d)?)$"
_SHORTEST_TIME: Final = len("2024-03-01 08:30")
_MICROSECONDS: Final = {"s": 1_000_000, "ms": 1_000}
_EXPECTED: Final = {
    "datetime64[us]": "a time in ISO 8601, e.g. 2024-03-01 08:30:00",
    "int32": "a number",
    "float64": "a number",
}


def plain(values: Any) -> Any:
    """Undo categories and extension types, and read bytes as text."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if _is_text(values.type) and values.type != pa.string():
        values = values.cast(pa.string())
    return values


def plain_type(kind: Any) -> Any:
    """Return the type that `plain` gives to values of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if _is_text(kind) else kind


def have_zone(times: Any) -> bool:
    """Tell whether times of a type or text that can be converted carry a time zone."""
    if pa.types.is_timestamp(times.type):
        return times.type.tz is not None
    texts = plain(times)
    return _is_text(texts.type) and bool(
        pc.any(pc.match_substring_regex(_trimmed(texts), _OFFSET)).as_py()
    )


def refuse_wrong_type(kind: Any, name: str, dtype: str, place: str) -> None:
    """Refuse a column whose type can hold nothing of the kind.

    Raises:
        SourceError: Naming the file and the column.
    """
    plainly = plain_type(kind)
    text = _is_text(plainly) or pa.types.is_null(plainly)
    if dtype.startswith("datetime"):
        fits, expected = text or pa.types.is_timestamp(plainly), "a timestamp"
    elif dtype == "id":
        fits, expected = not pa.types.is_nested(plainly), "an id"
    else:
        number = pa.types.is_integer(plainly) or pa.types.is_floating(plainly)
        fits, expected = text or number or pa.types.is_decimal(plainly), "a number"
    if not fits:
        raise SourceError(
            f"{place}: the column {name} holds {kind}, not {expected}",
            f"convert the column to {expected} and write the file again",
        )


def converted(values: Any, dtype: str, name: str, place: str, first: int, clock: str) -> Any:
    """Convert a column to a numpy array of a canonical type.

    Args:
        values: An Arrow chunked array of a type that `refuse_wrong_type` lets pass.
        dtype: ``datetime64[us]``, ``int32`` (a zone) or ``float64``.
        name: Of the column in the file.
        place: The file.
        first: The row of the file that the first value stands in, from 0.
        clock: As `settings.validation.clock`.

    Raises:
        SourceError: Naming the file, the column and the first row that cannot be converted.
    """
    if dtype == "int32" and values.type == pa.int32() and not values.null_count:
        return values.to_numpy()
    convert: Callable[[Any], Any] = _numbers
    if dtype.startswith("datetime"):
        convert = lambda column: _times(column, clock)  # noqa: E731
    try:
        result = convert(plain(values))
    except (pa.ArrowException, ValueError) as error:
        row = _first_bad(values, lambda column: convert(plain(column)))
        value = values[row]
        shown = value.as_py() if not isinstance(value, pa.BaseExtensionType) else str(value)
        if isinstance(shown, bytes):  # the cells of a CSV file
            shown = shown.decode(errors="backslashreplace")
        raise SourceError(
            f"{place}: row {first + row + 1:,}: the column {name} holds {str(shown)[:80]!r},"
            f" which is not {_EXPECTED[dtype]}",
            "correct the row and write the file again",
        ) from error
    return _zones(result) if dtype == "int32" else result


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _numbers(values: Any) -> Any:
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())  # read like text, a decimal is the nearest double
    if pa.types.is_string(values.type):
        values = _trimmed(values)
    return values.cast(pa.float64(), safe=False).to_numpy()


def _times(values: Any, clock: str) -> Any:
    if pa.types.is_string(values.type):
        values = _trimmed(values)
        if pc.any(pc.less(pc.utf8_length(values), _SHORTEST_TIME)).as_py():
            raise ValueError("a date without a time")
        if clock == "new_york":
            values = pc.replace_substring_regex(values, _OFFSET, "")
        zoned, nothing = pc.match_substring_regex(values, _OFFSET), pa.scalar(None, pa.string())
        bare = _cast_times(pc.if_else(zoned, nothing, values), None)
        instants = _cast_times(pc.if_else(zoned, values, nothing), "UTC")
        return pc.coalesce(_wall_clock(bare, clock), _wall_clock(instants, clock)).to_numpy()
    return _wall_clock(values, clock).to_numpy()


def _wall_clock(values: Any, clock: str) -> Any:
    """Return what a clock in New York shows: what the TLC's files hold, hence ours too."""
    values = _microseconds(values)
    zone = getattr(values.type, "tz", None)
    if zone is None and clock == "utc":
        values = values.cast(pa.timestamp("us", tz="UTC"))
    if getattr(values.type, "tz", None) is not None:
        if clock != "new_york":
            values = values.cast(pa.timestamp("us", tz=NEW_YORK_NAME))
        values = pc.local_timestamp(values)
    return values.cast(_TIME)


def _microseconds(values: Any) -> Any:
    """Return times in microseconds; those that do not fit are missing."""
    kind = values.type
    if not pa.types.is_timestamp(kind) or kind.unit == "us":
        return values
    unit = pa.timestamp("us", tz=kind.tz)
    if kind.unit == "ns":
        return values.cast(unit, safe=False)
    limit = np.iinfo(np.int64).max // _MICROSECONDS[kind.unit]
    counts = values.cast(pa.int64())
    fits = pc.and_(pc.less_equal(counts, limit), pc.greater_equal(counts, -limit))
    return pc.if_else(fits, values, pa.scalar(None, kind)).cast(unit)


def _cast_times(texts: Any, zone: str | None) -> Any:
    try:
        return texts.cast(pa.timestamp("us", tz=zone))
    except pa.ArrowInvalid:
        return texts.cast(pa.timestamp("ns", tz=zone))  # nine decimals


def _trimmed(values: Any) -> Any:
    values = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def _first_bad(values: Any, convert: Callable[[Any], Any]) -> int:
    """Return the position of the first value that makes a conversion fail."""
    good, bad = 0, len(values)  # the first ``good`` are convertible, the first ``bad`` are not
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            convert(values.slice(0, middle))
            good = middle
        except (pa.ArrowException, ValueError):
            bad = middle
    return good


def _zones(numbers: Any) -> Any:
    limits = np.iinfo(np.int32)
    whole = (numbers >= limits.min) & (numbers <= limits.max) & (numbers == np.floor(numbers))
    return np.where(whole, numbers, NO_ZONE).astype(np.int32)
