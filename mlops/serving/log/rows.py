"""The rows of the prediction log: one per row asked about and model, as one Arrow schema.

The features themselves are not stored: 34 columns cost 5.5 times the disk (186 instead of 34 bytes
a row) and 2.5 times the writing, and they are a pure function of what is stored. The request's own
columns, the distance used and the version give them back exactly, through that version's encoder,
which is also how train/serve skew shows: what it predicts from a row must be what was answered.

A dataset has its own columns, hence its own layout; labels are joined later by those of its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops.datasets.answers import ANSWER, OUTPUTS
from mlops.datasets.definition import FeatureDeclaration
from mlops.datasets.taxi.trips import REQUEST_COLUMNS

REQUEST_ID: Final = "request_id"
ROW: Final = "row"  # the row's place in its request; with id and role, the key of an answer
AT: Final = "at"
MILES: Final = "miles_used"  # the request's distance, or what the route's history put in its place

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_ARROW: Final = {
    "datetime64[us]": pa.timestamp("us"),
    "int32": pa.int32(),
    "float64": pa.float64(),
}
_BY_REQUEST: Final = (
    pa.field(REQUEST_ID, pa.string()),
    pa.field(ROW, pa.int32()),
    pa.field(AT, pa.timestamp("us", "UTC")),
    pa.field("caller", _TEXT),
    pa.field("endpoint", _TEXT),
    pa.field("version", pa.int32()),
    pa.field("role", _TEXT),  # champion, canary or shadow
)
_DECLARED: Final = {
    "number": pa.float64(),
    "category": pa.string(),
    "flag": pa.bool_(),
    "time": pa.timestamp("us"),
}
_TAKEN: Final = frozenset({*(field.name for field in _BY_REQUEST), *OUTPUTS})


class LogLayout(NamedTuple):
    """How the answers of one dataset are logged.

    Attributes:
        schema: Of the log.
        columns: Of requests, as callers name them, in the order of the schema.
        computed: Whether a number follows that the server put in the place of a missing one.
    """

    schema: Any
    columns: tuple[str, ...]
    computed: bool = False

    @property
    def asked(self) -> dict[str, str]:
        """What callers call each of the columns that the log has of their requests."""
        return {logged_name(name): name for name in self.columns}

    @property
    def answers(self) -> tuple[str, ...]:
        """What the server found: the number it computed, if it did, and the answer's three."""
        return tuple(self.schema.names[-len(OUTPUTS) - self.computed :])

    @property
    def predicted(self) -> dict[str, str]:
        """What models call each of the answer's three."""
        return dict(zip(self.answers[-len(ANSWER) :], ANSWER, strict=True))


def logged_name(column: str) -> str:
    """Return how the log of a declared dataset calls a column; some names are its own."""
    return f"{column}_" if column.rstrip("_") in _TAKEN else column


def table_log(columns: Mapping[str, FeatureDeclaration]) -> LogLayout:
    """Return the layout of a declared dataset's log: who was asked what, and three answers.

    Args:
        columns: Of requests.
    """
    fields = [
        pa.field(logged_name(name), _DECLARED[column.type]) for name, column in columns.items()
    ]
    answers = [pa.field(name, pa.float64()) for name in OUTPUTS]
    return LogLayout(pa.schema([*_BY_REQUEST, *fields, *answers]), tuple(columns))


SCHEMA: Final = pa.schema(
    [
        *_BY_REQUEST,
        *(pa.field(name, _ARROW[kind]) for name, kind in REQUEST_COLUMNS.items()),
        pa.field(MILES, pa.float32()),
        *(pa.field(name, pa.float32()) for name in ANSWER),
    ]
)
DEFAULT_LOG: Final = LogLayout(SCHEMA, tuple(REQUEST_COLUMNS), computed=True)
# Few different values: worth a dictionary in the file. The others only pay for the attempt.
REPETITIVE: Final = ("caller", "endpoint", "version", "role")


Column = Sequence[Any] | npt.NDArray[Any]


class Answers(NamedTuple):
    """The answers to one request by one model; see `PredictionLog.append` for the fields."""

    request_id: str
    at_ns: int  # since 1970, UTC
    caller: str
    endpoint: str
    version: int
    role: str
    columns: Mapping[str, Column]
    miles: Column | None
    minutes: Column

    @property
    def rows(self) -> int:
        """Rows answered."""
        return len(self.minutes)


def to_table(answers: Sequence[Answers], layout: LogLayout = DEFAULT_LOG) -> Any:
    """Lay requests out as one Arrow table, without a Python loop over rows.

    Args:
        answers: At least one.
        layout: Of the table.

    Raises:
        Exception: Whatever a value that does not fit its column makes Arrow or numpy raise.
    """
    many = [a for a in answers if isinstance(a.minutes, np.ndarray) and a.rows > 1]
    few = [a for a in answers if not (isinstance(a.minutes, np.ndarray) and a.rows > 1)]
    kinds = ((few, _from_values), (many, _from_arrays))
    tables = [_table(group, join, layout) for group, join in kinds if group]
    return pa.concat_tables(tables) if len(tables) > 1 else tables[0]


def _table(
    answers: Sequence[Answers], join: Callable[[list[Column]], Any], layout: LogLayout
) -> Any:
    ids, at, callers, endpoints, versions, roles, *_ = zip(*answers, strict=True)
    counts = np.fromiter((a.rows for a in answers), np.int64, len(answers))
    request = np.repeat(np.arange(len(answers)), counts)
    first = np.cumsum(counts) - counts
    microseconds = np.asarray(at, dtype=np.int64) // 1_000
    by_request = [
        pa.array(ids, pa.string()).take(pa.array(request)),
        pa.array((np.arange(len(request)) - first[request]).astype(np.int32)),
        pa.array(microseconds[request], pa.timestamp("us", "UTC")),
        _texts(callers, request),
        _texts(endpoints, request),
        pa.array(np.asarray(versions, dtype=np.int32)[request]),
        _texts(roles, request),
    ]
    columns = [[_column(a, name) for a in answers] for name in layout.columns]
    if layout.computed:
        columns.append([() if a.miles is None else a.miles for a in answers])
    for column in columns:
        if (np.fromiter(map(len, column), np.int64, len(answers)) != counts).any():
            raise ValueError("the columns of a request's rows have different lengths")
    kinds = layout.schema.types[len(by_request) :]
    numbers = [np.asarray(a.minutes, kinds[-1].to_pandas_dtype()).reshape(-1, 3) for a in answers]
    by_row = [
        _array(values, kind)
        for kind, values in zip(
            kinds, [*map(join, columns), *np.concatenate(numbers).T], strict=True
        )
    ]
    return pa.table([*by_request, *by_row], schema=layout.schema)


def _column(answers: Answers, name: str) -> Column:
    values = answers.columns.get(name)
    return (None,) * answers.rows if values is None else values


def _from_values(columns: list[Column]) -> list[Any]:
    return list(chain.from_iterable(columns))


def _from_arrays(columns: list[Column]) -> npt.NDArray[Any]:
    return np.concatenate([np.asarray(column) for column in columns])


def _array(values: Any, kind: Any) -> Any:
    if isinstance(values, np.ndarray):
        # Arrow takes no strides, and wants Python's values rather than numpy's array of them.
        values = values.tolist() if values.dtype == object else np.ascontiguousarray(values)
    # from_pandas: NaN is how numpy says that a value is missing.
    return pa.array(values, kind, from_pandas=True)


def _texts(values: Sequence[str], request: npt.NDArray[np.int64]) -> Any:
    words = {value: code for code, value in enumerate(dict.fromkeys(values))}
    codes = np.fromiter((words[value] for value in values), np.int32, len(values))
    return pa.DictionaryArray.from_arrays(codes[request], pa.array(list(words), pa.string()))
