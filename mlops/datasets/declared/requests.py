"""One row that a prediction is asked for, as JSON: the form of it, written from the definition.

The types are strict, the rules are those that rows of files are held to, and whatever is wrong with
a row is said at once. The server's OpenAPI document is made of the same pydantic model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    TypeAdapter,
    ValidationError,
    create_model,
)

from mlops.datasets.dataset import GoldenRequests
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.golden import UNSEEN, golden_rows
from mlops.datasets.declared.groups import Row
from mlops.datasets.declared.reading import dtype_of
from mlops.datasets.declared.rules import broken_by_one, rules_of
from mlops.datasets.definition import DatasetDefinition, FeatureDeclaration
from mlops.datasets.wall_clock import wall_clock_in
from mlops.errors import DataQualityError, did_you_mean

# A model computes in float32.
_LARGEST: Final = float(np.finfo(np.float32).max)
_WHOLE: Final = 2**53  # below it, a float64 holds every whole number
_NOTHING: Final[Any] = object()
_GOLDEN_DAYS: Final = 6  # after the histories end: within any server's limits on times


def _text(value: Any, missing: Sequence[str] = ()) -> Any:
    """Read a category as files are read: 7 and 7.0 are the text 7; some texts say nothing."""
    if isinstance(value, str):
        text = value.strip()
        return None if text in missing else text or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return str(int(value)) if value % 1 == 0 and abs(value) < _WHOLE else f"{value:.15g}"


class ReadRow(NamedTuple):
    """A row as it is understood.

    Attributes:
        values: Every column of the form; None where nothing is given or it cannot be read.
        problems: Why the row is refused: fields, and what is wrong with each; empty if it is not.
        flags: Names of the rules that it breaks without being refused.
    """

    values: Row
    problems: Mapping[str, str]
    flags: tuple[str, ...]


class RowForm:
    """The form of requests of a dataset.

    Args:
        definition: Declares the columns and the rules.

    Attributes:
        definition: The same.
        columns: What a request may say: the event's time, the features and, to be joined with
            labels later, the columns of the key.
        model: The same as a pydantic model, whose fields are known by their aliases.
    """

    def __init__(self, definition: DatasetDefinition) -> None:
        self.definition = definition
        asked = definition.request_columns
        event = definition.event
        known = {**asked, **{name: definition.columns[name] for name in definition.key}}
        self.columns: Mapping[str, FeatureDeclaration] = {
            name: column.model_copy(
                update={"optional": name not in asked or (column.optional and name != event)}
            )
            for name, column in known.items()
        }
        zone = definition.zone
        missing = definition.source.missing
        self._types = {n: _type(column, zone, missing) for n, column in self.columns.items()}
        fields: dict[str, Any] = {
            f"field_{number}": (
                self._types[name] | None if column.optional else self._types[name],
                Field(
                    None if column.optional else ...,
                    alias=name,
                    description=self._described(name, column, zone),
                ),
            )
            for number, (name, column) in enumerate(self.columns.items())
        }
        self.model: type[BaseModel] = create_model(
            "RowRequest",
            __config__=ConfigDict(extra="forbid", frozen=True),
            __doc__=f"What is known when this is asked: {definition.title}",
            **fields,
        )
        rules = rules_of(definition, labels=False)
        self._rules = {rule.name: rule for rule in rules}
        self._column_of = {rule.name: rule.column for rule in definition.rules}

    def read(self, record: Any) -> ReadRow:
        """Hold a JSON object to the form and to the rules of requests."""
        wrong: dict[str, str] = {}
        try:
            found = self.model.model_validate(record)
            values: Row = dict(zip(self.columns, found.__dict__.values(), strict=True))
        except ValidationError as error:
            wrong = self._wrong_fields(error)
            values = self._readable(record, wrong)
        flags: tuple[str, ...] = ()
        for name in broken_by_one(self._rules.values(), values):
            field = self._column_of.get(name, "")
            rule = self._rules[name]
            if rule.action == "flag":
                flags += (name,)
            elif (field or rule.dataset) and field not in wrong:  # no field: the row itself
                wrong[field] = f"breaks the rule {name}: {rule.meaning}"
        return ReadRow(values, wrong, flags)

    def arrays(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return rows as arrays by column, as they are read from files."""
        return {
            name: np.array([row[name] for row in rows], dtype=dtype_of(column))
            for name, column in self.columns.items()
        }

    def key_of(self, row: Row) -> dict[str, Any]:
        """Return the key of a row as JSON, under ``key``, as far as the row has it."""
        known = {n: v for n in self.definition.key if (v := row[n]) is not None}
        if not known:
            return {}
        return {
            "key": {n: v.isoformat() if isinstance(v, datetime) else v for n, v in known.items()}
        }

    @cached_property
    def example(self) -> dict[str, Any]:
        """A request that is accepted, as JSON, with a value for every column but the key's."""
        rows = golden_rows(TableEncoder(self.definition, {}, ()))
        body = self.body(rows.iloc[rows.isna().sum(axis=1).argmin()])
        return {name: f"some {name}" if v == UNSEEN else v for name, v in body.items()}

    def body(self, row: pd.Series[Any]) -> dict[str, Any]:
        """Return a row as JSON, without what is missing."""
        known: dict[str, Any] = {str(name): v for name, v in row.items() if not pd.isna(v)}
        kinds: dict[str, Callable[[Any], Any]] = {
            "time": datetime.isoformat,
            "flag": bool,
            "category": str,
            "number": float,
        }
        return {name: kinds[self.columns[name].type](v) for name, v in known.items()}

    def _described(self, name: str, column: FeatureDeclaration, zone: str) -> str:
        parts = [column.meaning[:1].upper() + column.meaning[1:]] if column.meaning else []
        parts += [f"Unit: {column.unit}"] if column.unit else []
        if column.type == "time":
            parts.append(f"ISO 8601; without an offset it is local time in {zone}")
        if name not in self.definition.request_columns:
            parts.append("Part of the key, which is returned with the answer")
        return "".join(f"{part.rstrip('.')}. " for part in parts).strip()

    def _wrong_fields(self, error: ValidationError) -> dict[str, str]:
        """Return what is wrong with each field; an empty name stands for the row itself."""
        wrong: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_context=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            if problem["type"] == "extra_forbidden":
                hint = did_you_mean(name, self.columns)
                message = f"there is no such field{f'; {hint}' if hint else ''}"
            elif name not in self.columns:
                message = "must be an object"
            elif problem["type"] == "missing" or problem["input"] in (None, ""):
                message = "is missing"
            else:
                message = _expected(self.columns[name])
            wrong.setdefault(name, message)
        return wrong

    def _readable(self, record: Any, wrong: Mapping[str, str]) -> Row:
        """Return the good fields of a row of which others are wrong."""
        sent = record if isinstance(record, dict) else {}
        values: dict[str, Any] = {}
        for name in self.columns:
            value = _NOTHING if name in wrong else sent.get(name)
            known = value is not None and value is not _NOTHING
            values[name] = self._adapters[name].validate_python(value) if known else None
        return values

    @cached_property
    def _adapters(self) -> Mapping[str, TypeAdapter[Any]]:
        return {name: TypeAdapter(kind | None) for name, kind in self._types.items()}


def golden_requests(definition: DatasetDefinition, encoder: TableEncoder) -> GoldenRequests:
    """Make requests that a server accepts: always the same for the same encoder.

    Raises:
        DataQualityError: If the rules of the definition leave none.
    """
    form, rows = RowForm(definition), golden_rows(encoder, _GOLDEN_DAYS)
    bodies = [form.body(row) for _, row in rows.iterrows()]
    accepted = [not form.read(body).problems for body in bodies]
    if not any(accepted):
        raise DataQualityError(
            f"{definition.name}: no row could be made that keeps all rules of the definition",
            "look for rules that contradict each other: mlops dataset check",
        )
    kept = [body for body, is_good in zip(bodies, accepted, strict=True) if is_good]
    return GoldenRequests(rows[accepted].reset_index(drop=True), kept)


def _type(column: FeatureDeclaration, zone: str, missing: Sequence[str]) -> Any:
    """Return the type of a column's values in a request."""
    if column.type == "number":
        limits = Field(strict=True, allow_inf_nan=False, ge=-_LARGEST, le=_LARGEST)
        return Annotated[float, limits]
    if column.type == "flag":
        return StrictBool
    if column.type == "category":
        text = Annotated[str, Field(strict=True)]
        read = BeforeValidator(partial(_text, missing=missing))
        return Annotated[text | None if column.optional else text, read]
    return Annotated[datetime, BeforeValidator(wall_clock_in(ZoneInfo(zone)))]


def _expected(column: FeatureDeclaration) -> str:
    if column.type == "number":
        return f"must be a number{f' ({column.unit})' if column.unit else ''}"
    return {
        "flag": "must be true or false",
        "category": "must be a text",
        "time": "must be a time in ISO 8601, e.g. 2024-03-01T08:30:00",
    }[column.type]
