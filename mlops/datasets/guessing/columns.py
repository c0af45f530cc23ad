"""What the values of a column are: numbers, categories, flags, times, identifiers, or nothing.

Only what the reader of declared tables accepts is called a number, a time or a flag, because a
definition that promises more would be refused by its own file.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops.data.files.conversion import converted
from mlops.errors import SourceError

Kind = Literal["number", "category", "flag", "time"]
Sureness = Literal["sure", "likely", "check"]

_CODE: Final = re.compile(
    r"(?:^|[\W_])(?:id|ids|code|zip|zipcode|postcode|postal_code|zone|type|class|kind|category|sku"
    r"|no|nr|number|store|flight|item|vendor|station|region|status)\W*$",
    re.IGNORECASE,
)
_IDENTIFIER: Final = re.compile(
    r"(?:^|[\W_])(?:id|ids|uuid|guid|key|index|row|no|nr|hash)\W*$", re.I
)
_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_ZERO: Final = r"^\s*0\d"
_DATE: Final = r"^\s*\d{4}-\d\d-\d\d"
_OTHER_DATE: Final = r"^\s*\d{1,4}[./-]\d{1,2}[./-]\d{2,4}([ T].*)?\s*$"
_WORDS: Final = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"}, {"0", "1"})
_MOSTLY: Final = 0.95  # share of values from which on the others are exceptions
_NUMBERS: Final = 0.8  # share of numbers from which on words among them are taken for missing
_DENSE: Final = 1.05  # numbers for each row, up to which a row number has hardly any gaps
_NUMBERED: Final = 100  # rows from which on that is no chance
_UNIQUE: Final = 0.95  # share of distinct values of an identifier
_TEXT: Final = 40  # characters on average, from which on a value is a sentence
_SMOOTH: Final = 0.02  # R² that single codes explain beyond the tenths that they lie in
_CONVERSION: Final = {"number": "float64", "category": "text", "flag": "flag", "time": "time"}


class ColumnGuess(NamedTuple):
    """What a column is.

    Attributes:
        name: Of the column.
        kind: Type to declare.
        values: As the reader gives them, ``(n,)``: float64, object or datetime64[us].
        missing: Share of missing values.
        distinct: Number of distinct values.
        evidence: Why it is of that type.
        sureness: Whether a person should check it.
        unusable: Why it cannot be a feature; empty: it can.
        identifier: Whether its values name single rows.
        zoned: Whether its times carry a zone.
    """

    name: str
    kind: Kind
    values: npt.NDArray[Any]
    missing: float
    distinct: int
    evidence: str
    sureness: Sureness = "sure"
    unusable: str = ""
    identifier: bool = False
    zoned: bool = False

    def among(self, rows: npt.NDArray[np.bool_]) -> ColumnGuess:
        """Return the same guess with the values of some rows only."""
        values = self.values[rows]
        given = values[~pd.isna(values)]
        missing = 1 - len(given) / max(len(values), 1)
        return self._replace(values=values, missing=missing, distinct=len(pd.unique(given)))


def guess_column(name: str, values: Any, zone: str) -> ColumnGuess:
    """Tell what a column is from its name and a sample of its values.

    Args:
        name: Of the column.
        values: An Arrow chunked array, as from `mlops.datasets.guessing.sampling`.
        zone: Time zone of the dataset, to which times with a zone are converted.
    """
    kind, evidence, sureness, unusable = _kind(name, values)
    if pa.types.is_nested(values.type) or pa.types.is_null(values.type):
        typed = np.full(len(values), None, dtype=object)
    else:
        try:
            typed = converted(values, _CONVERSION[kind], name, "", 0, "auto", zone)
        except SourceError as error:
            unusable = unusable or error.message.partition(": ")[2].rpartition(": ")[2]
            kind, sureness = "category", "check"
            typed = converted(values, "text", name, "", 0, "auto", zone)
    given = typed[~pd.isna(typed)]
    distinct = len(pd.unique(given))
    missing = 1 - len(given) / max(len(typed), 1)
    guess = ColumnGuess(name, kind, typed, missing, distinct, evidence, sureness, unusable)
    if kind == "time":
        text = pa.types.is_string(values.type)
        offset = text and pc.any(pc.match_substring_regex(values, r"\d(Z|[+-]\d\d:?\d\d)$")).as_py()
        guess = guess._replace(zoned=bool(offset) or getattr(values.type, "tz", None) is not None)
    return _usable(guess, len(given))


def words_of(name: str) -> str:
    """Return a name with its words separated: ``VendorID`` as ``Vendor_ID``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def refined(guess: ColumnGuess, target: npt.NDArray[np.float64]) -> ColumnGuess:
    """Call whole numbers categories if the target depends on single ones, not on their order.

    Args:
        guess: Of a column.
        target: ``(n,)``, NaN where missing.
    """
    from mlops.datasets.checking.leakage import KnownAfterwards, power_alone

    numbers = guess.values
    rows = len(numbers)
    if guess.kind != "number" or not _whole(numbers) or not 30 < guess.distinct < rows / 5:
        return guess
    given = np.isfinite(target) & np.isfinite(numbers)
    known = KnownAfterwards(target[given])
    tenths = pd.qcut(numbers[given], 10, labels=False, duplicates="drop")
    by_order = power_alone(np.asarray(tenths, dtype=np.float64), known)
    by_code = power_alone(numbers[given].astype(str).astype(object), known)
    if by_code < 1.1 * by_order + _SMOOTH:
        return guess
    evidence = "whole numbers; the target depends on single ones more than on their order"
    return guess._replace(
        kind="category",
        values=_as_text(numbers),
        evidence=evidence,
        sureness="check",
    )


def _kind(name: str, values: Any) -> tuple[Kind, str, Sureness, str]:
    """Return type, evidence, sureness and, if there is one, the reason why it is unusable."""
    kind = values.type
    if pa.types.is_nested(kind):
        return "category", f"{kind}", "sure", f"holds {kind}, not one value per row"
    if pa.types.is_null(kind) or values.null_count == len(values):
        return "category", "no values", "sure", "has no values"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time", "stored as times", "sure", ""
    if pa.types.is_boolean(kind):
        return "flag", "stored as true and false", "sure", ""
    if pa.types.is_string(kind):
        return _of_text(name, values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(name, values.cast(pa.float64(), safe=False), "numbers")
    return "category", f"stored as {kind}", "check", f"holds {kind}; convert it in the file"


def _of_text(name: str, values: Any) -> tuple[Kind, str, Sureness, str]:
    texts = pc.drop_null(values)
    words = set(pc.unique(pc.utf8_lower(pc.utf8_trim_whitespace(texts)))[:9].to_pylist()) - {""}
    if not words:
        return "category", "no values", "sure", "has no values"
    if len(words) == 2 and any(words == each for each in _WORDS):
        return "flag", f"{' and '.join(sorted(words))} only", "sure", ""
    texts = pc.filter(texts, pc.not_equal(pc.utf8_trim_whitespace(texts), ""))
    numbers = _share(texts, _NUMBER)
    if numbers == 1 and not _share(texts, _ZERO):
        number = pc.utf8_trim_whitespace(texts).cast(pa.float64())
        return _of_numbers(name, number, "all values are numbers")
    if numbers > _NUMBERS and not _share(texts, _ZERO):
        shown = _example(texts, _NUMBER, fits=False)
        reason = f"numbers, but {shown!r} too; leave such values empty in the file"
        return "category", f"{numbers:.1%} of the values are numbers", "check", reason
    if _share(texts, _DATE) == 1:
        return "time", "all values are dates or times in ISO 8601", "sure", ""
    if _share(texts, _OTHER_DATE) > _MOSTLY and not _share(texts, _DATE) > _MOSTLY:
        shown = _example(texts, _OTHER_DATE)
        return "category", f"such as {shown}", "check", f"times such as {shown}; write 2024-03-31"
    average = pc.mean(pc.utf8_length(texts)).as_py()
    if average > _TEXT:
        return "category", f"{average:.0f} characters on average", "likely", "free text"
    zero = _share(texts, _ZERO) and numbers > _MOSTLY
    return "category", "codes with leading zeros" if zero else "words", "sure", ""


def _of_numbers(name: str, numbers: Any, what: str) -> tuple[Kind, str, Sureness, str]:
    values = pc.drop_null(numbers).to_numpy()
    if set(np.unique(values[np.isfinite(values)])) == {0.0, 1.0}:
        return "flag", "0 and 1 only", "likely", ""
    if _whole(values) and _CODE.search(words_of(name)):
        return "category", "whole numbers with the name of a code", "likely", ""
    if _whole(values) and len(np.unique(values)) == 2:
        return "category", "two whole numbers only", "likely", ""
    return "number", what, "sure", ""


def _usable(guess: ColumnGuess, given: int) -> ColumnGuess:
    """Say which columns cannot be features although their values are well formed."""
    if guess.unusable:
        return guess
    if guess.distinct <= 1:
        shown = str(guess.values[~pd.isna(guess.values)][0]) if guess.distinct else "nothing"
        return guess._replace(unusable=f"always the same value ({shown[:30]})")
    unique = guess.distinct >= _UNIQUE * given
    if guess.kind == "category" and unique and given >= 20:
        return guess._replace(identifier=True, unusable="names single rows")
    numbers = guess.values[np.isfinite(guess.values)] if guess.kind == "number" else np.empty(0)
    if _whole(numbers) and guess.distinct == given >= 20:
        dense = given >= _NUMBERED and np.ptp(numbers) < _DENSE * given
        # In the order of the file, or in another one
        counts = bool((np.diff(numbers) > 0).all()) or bool(dense)
        if counts or _IDENTIFIER.search(words_of(guess.name)):
            return guess._replace(
                kind="category",
                values=_as_text(guess.values),
                identifier=True,
                unusable="numbers the rows" if counts else "names single rows",
            )
    return guess


def _as_text(numbers: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return whole numbers as texts, None where they are missing."""
    missing = np.isnan(numbers)
    texts = np.where(missing, 0, numbers).astype(np.int64).astype(str).astype(object)
    texts[missing] = None
    return texts


def _whole(numbers: npt.NDArray[Any]) -> bool:
    given = numbers[np.isfinite(numbers)]
    return bool(len(given)) and bool((np.abs(given) < 2**53).all() and (given % 1 == 0).all())


def _share(texts: Any, pattern: str) -> float:
    return float(pc.mean(pc.match_substring_regex(texts, pattern).cast(pa.float64())).as_py() or 0)


def _example(texts: Any, pattern: str, *, fits: bool = True) -> str:
    mask = pc.match_substring_regex(texts, pattern)
    chosen = pc.filter(texts, mask if fits else pc.invert(mask))
    return str(chosen[0].as_py())[:30]
