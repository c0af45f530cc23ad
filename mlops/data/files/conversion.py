"""Values of any Arrow type to times, numbers and ids; what cannot be one is named with its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    "time": "a date or time in ISO 8601, e.g. 2024-03-01 08:30:00",
    "int32": "a number",
    "float64": "a number",
    "flag": "true or false",
    "text": "a text in UTF-8",
}
_FLAGS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), 1.0),
    **dict.fromkeys(("false", "f", "no", "n", "0"), 0.0),
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


def with_point(values: Any) -> Any:
    """Write the decimals of numbers in text with a point instead of a comma; the rest stays."""
    values = plain(values)
    if not pa.types.is_string(values.type):
        return values
    return pc.replace_substring_regex(values, r"^(\s*[+-]?\d+),(\d+\s*)$", r"\1.\2")


def without(values: Any, texts: Sequence[str]) -> Any:
    """Take some texts for missing values; the rest stays."""
    values = plain(values)
    if not pa.types.is_string(values.type):
        return values
    stand_in = pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(texts, pa.string()))
    return pc.if_else(stand_in, pa.scalar(None, pa.string()), values)


def without_percent(values: Any) -> Any:
    """Leave out the percent sign behind numbers in text; the rest stays."""
    values = plain(values)
    if not pa.types.is_string(values.type):
        return values
    return pc.replace_substring_regex(values, r"(\d)\s*%\s*$", r"\1")


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
    elif dtype == "time":
        dated = pa.types.is_timestamp(plainly) or pa.types.is_date(plainly)
        fits, expected = text or dated, "a date or timestamp"
    elif dtype in ("id", "text"):
        fits, expected = not pa.types.is_nested(plainly), "a simple value"
    elif dtype == "flag":
        number = pa.types.is_integer(plainly) or pa.types.is_floating(plainly)
        fits, expected = text or number or pa.types.is_boolean(plainly), "true or false"
    else:
        number = pa.types.is_integer(plainly) or pa.types.is_floating(plainly)
        fits, expected = text or number or pa.types.is_decimal(plainly), "a number"
    if not fits:
        raise SourceError(
            f"{place}: the column {name} holds {kind}, not {expected}",
            f"convert the column to {expected} and write the file again",
        )


def converted(
    values: Any,
    dtype: str,
    name: str,
    place: str,
    first: int,
    clock: str,
    zone: str,
) -> Any:
    """Convert a column to a numpy array of a canonical type.

    Args:
        values: An Arrow chunked array of a type that `refuse_wrong_type` lets pass.
        dtype: ``datetime64[us]``, ``time`` (the same, and a date is its midnight), ``int32`` (a
            zone), ``float64``, ``flag`` (1, 0 or NaN) or ``text`` (str or None; whole numbers
            without a decimal point).
        name: Of the column in the file.
        place: The file.
        first: The row of the file that the first value stands in, from 0.
        clock: As `settings.validation.clock`.
        zone: Whose wall clock times are converted to, if they carry another zone.

    Raises:
        SourceError: Naming the file, the column and the first row that cannot be converted.
    """
    if dtype == "int32" and values.type == pa.int32() and not values.null_count:
        return values.to_numpy()
    convert: Callable[[Any], Any] = _numbers
    if dtype.startswith("datetime") or dtype == "time":
        convert = partial(_times, clock=clock, zone=zone, dates=dtype == "time")
    elif dtype == "flag":
        convert = _flags
    elif dtype == "text":
        convert = _texts
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
    return _whole_numbers(result) if dtype == "int32" else result


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


def _texts(values: Any) -> Any:
    """Return plain values as an array of str and None; 3.0 and 3 are the same text."""
    if pa.types.is_string(values.type):
        values = _trimmed(values)
    elif pa.types.is_floating(values.type):
        nothing = pa.scalar(None, values.type)
        values = pc.if_else(pc.is_nan(values), nothing, values)
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2**53))
        integers = pc.if_else(whole, values, nothing).cast(pa.int64())
        values = pc.coalesce(integers.cast(pa.string()), values.cast(pa.string()))
    return np.asarray(values.cast(pa.string()).to_pandas(), dtype=object)


def _flags(values: Any) -> Any:
    if pa.types.is_string(values.type):
        values = pc.utf8_lower(_trimmed(values))
        known = pc.index_in(values, pa.array([*_FLAGS]))
        if known.null_count > values.null_count:
            raise ValueError("neither true nor false")
        return pa.array([*_FLAGS.values()]).take(known).to_numpy()
    numbers = values.cast(pa.int8() if pa.types.is_boolean(values.type) else pa.float64())
    numbers = numbers.cast(pa.float64()).to_numpy()
    if not (np.isnan(numbers) | (numbers == 0) | (numbers == 1)).all():
        raise ValueError("neither 0 nor 1")
    return numbers


def _times(values: Any, clock: str, zone: str, dates: bool) -> Any:
    if pa.types.is_string(values.type):
        values = _trimmed(values)
        timed = pc.greater_equal(pc.utf8_length(values), _SHORTEST_TIME)
        if not dates and pc.any(pc.invert(timed)).as_py():
            raise ValueError("a date without a time")
        if clock == "new_york":
            values = pc.replace_substring_regex(values, _OFFSET, "")
        # The day of a date looks like an offset.
        zoned = pc.and_(timed, pc.match_substring_regex(values, _OFFSET))
        nothing = pa.scalar(None, pa.string())
        bare = _cast_times(pc.if_else(zoned, nothing, values), None)
        instants = _cast_times(pc.if_else(zoned, values, nothing), "UTC")
        local = _wall_clock(bare, clock, zone), _wall_clock(instants, clock, zone)
        return pc.coalesce(*local).to_numpy()
    return _wall_clock(values, clock, zone).to_numpy()


def _wall_clock(values: Any, clock: str, zone_name: str) -> Any:
    """Return what a clock in the zone shows."""
    values = _microseconds(values)
    zone = getattr(values.type, "tz", None)
    if zone is None and clock == "utc":
        values = values.cast(pa.timestamp("us", tz="UTC"))
    if getattr(values.type, "tz", None) is not None:
        if clock != "new_york":
            values = values.cast(pa.timestamp("us", tz=zone_name))
        values = pc.local_timestamp(values)
    return values.cast(_TIME)


def _microseconds(values: Any) -> Any:
    """Return times in microseconds; those that do not fit are missing."""
    kind = values.type
    if pa.types.is_date(kind):
        return values.cast(pa.timestamp("us"))
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


def _whole_numbers(numbers: Any) -> Any:
    limits = np.iinfo(np.int32)
    whole = (numbers >= limits.min) & (numbers <= limits.max) & (numbers == np.floor(numbers))
    return np.where(whole, numbers, NO_ZONE).astype(np.int32)
