"""Requests about the rows of a declared dataset; see `mlops.serving.forms.form.RequestForm`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import ConfigDict, Field, create_model

from mlops.datasets.declared.compatibility import require_same_requests
from mlops.datasets.declared.groups import Row
from mlops.datasets.declared.requests import RowForm
from mlops.datasets.definition import DatasetDefinition
from mlops.serving.answers.answering import Answer, ModelFailureError
from mlops.serving.answers.bodies import content_of, require_unique, shown
from mlops.serving.answers.errors import MAX_PROBLEMS, FieldsError, Problem, RequestError
from mlops.serving.answers.explaining import MAX_EXPLAINED
from mlops.serving.answers.routing import CHAMPION, Version
from mlops.serving.forms.form import THREAD_BYTES, ApiDescription
from mlops.serving.forms.replies import (
    ManyRowExplanations,
    ManyRowPredictions,
    RowValidation,
    SingleRowExplanation,
    SingleRowPrediction,
)
from mlops.serving.log.rows import LogLayout, table_log
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.served_table import ServedTable
from mlops.settings import ServingSettings

_ROWS: Final = "rows"


@dataclass(frozen=True)
class AskedRows:
    """What a request asks: one row, or a list of rows."""

    rows: Sequence[Row]
    many: bool


class TableForm:
    """Reads rows and writes predictions in the unit of the target.

    Args:
        definition: Of the dataset, as it is when the server starts.
        limits: How many rows a request may hold, and how far from now they may lie.
    """

    def __init__(self, definition: DatasetDefinition, limits: ServingSettings) -> None:
        self._definition = definition
        self._limits = limits
        self._form = RowForm(definition)
        self._unit = json.dumps(definition.task.unit)
        self._event = definition.event
        self._zone = ZoneInfo(definition.zone)

    @cached_property
    def log(self) -> LogLayout:
        """How its answers are logged."""
        return table_log(self._form.columns)

    @cached_property
    def api(self) -> ApiDescription:
        """What it looks like from outside."""
        example, definition = self._form.example, self._definition
        unit = f" in {definition.task.unit}" if definition.task.unit else ""
        many = create_model(
            "RowList",
            __config__=ConfigDict(extra="forbid"),
            __doc__="Many rows in one request, answered in the same order.",
            rows=(list[self._form.model], Field(min_length=1)),  # type: ignore[name-defined]
        )
        return ApiDescription(
            title=definition.title,
            description=f"Predicts {definition.task.target}{unit}, with an 80 % prediction"
            " interval.",
            requests=(self._form.model, many),
            posts={
                "/predict": ("Predict rows", (SingleRowPrediction, ManyRowPredictions)),
                "/explain": (
                    "Explain predictions of the champion",
                    (SingleRowExplanation, ManyRowExplanations),
                ),
                "/validate": ("Check a request without predicting", (RowValidation,)),
            },
            examples={"one row": example, "a list": {_ROWS: [example, example]}},
            too_many="too many rows or bytes",
        )

    def require(self, model: CompiledModel) -> None:
        """Make sure that requests say what a model needs.

        Raises:
            MlopsError: If it is of another dataset, or was trained with another definition of it.
        """
        encoder = model.encoder
        trained = encoder.encoder.definition if isinstance(encoder, ServedTable) else None
        require_same_requests(self._definition, trained, model.version)

    def read(self, body: bytes, as_of: datetime | None) -> tuple[AskedRows, Any]:
        """Read one row or a list, and hold it to the rules."""
        content = content_of(body)
        if not isinstance(content, dict):
            raise RequestError(422, "body", f'must be one row, or {{"{_ROWS}": [...]}}')
        records: list[Any] = [content]
        many = isinstance(content.get(_ROWS), list)
        if many:
            records = self._list_in(content)
        elif len(body) >= THREAD_BYTES:  # one row is answered by one thread only
            raise RequestError(413, "body", "is too large for one row")
        rows, flags = self._checked(records, many, as_of)
        kept = sum(len(r) + sum(isinstance(v, str) for v in r.values()) for r in records) + many
        require_unique(body, body.count(b'"'), kept, _ROWS)
        return AskedRows(rows, many), flags if many else flags.get(0, ())

    def ask(self, version: Version, asked: AskedRows) -> Answer:
        """Ask a version."""
        model, rows = version.model, asked.rows
        answers: Any
        try:
            if asked.many:
                answers = model.predict(self._form.arrays(rows))
                center = answers[:, 0]
            else:
                answers = (model.predict_one(rows[0]),)
                center = answers[0][0]
        except Exception as error:
            raise ModelFailureError("exception") from error
        if not np.isfinite(center).all():
            raise ModelFailureError("not_finite")
        columns = {name: [row[name] for row in rows] for name in self._form.columns}
        return Answer(columns, None, None, answers)

    def write(
        self,
        answer: Answer,
        asked: AskedRows,
        flags: Any,
        version: Version,
        role: str,
        request_id: str,
    ) -> bytes:
        """Write an answer."""
        signed = f'"unit":{self._unit},{_signed(version, role, request_id)}}}'
        if not asked.many:
            row = self._written(asked.rows[0], answer.minutes[0], flags)
            return f"{{{row},{signed}".encode()
        body = ",".join(
            f"{{{self._written(row, found, flags.get(place, ()))}}}"
            for place, (row, found) in enumerate(
                zip(asked.rows, answer.minutes.tolist(), strict=True)
            )
        )
        return f'{{"predictions":[{body}],{signed}'.encode()

    def explain(self, version: Version, asked: AskedRows, request_id: str) -> bytes:
        """Explain predictions: base and contributions add up to the sum, in the target's unit."""
        if len(asked.rows) > MAX_EXPLAINED:
            raise RequestError(
                413,
                _ROWS,
                f"{len(asked.rows)} rows are too many: at most {MAX_EXPLAINED} are explained",
            )
        model = version.model
        found = model.explain(self._form.arrays(asked.rows))
        explanations = [
            {
                **self._form.key_of(row),
                "prediction": _short(min(max(total, model.head.shortest), model.head.longest)),
                "sum": _short(total),
                "base": _short(found.base),
                "contributions": {
                    name: _short(value) for name, value in zip(found.features, added, strict=True)
                },
            }
            for row, total, added in zip(
                asked.rows, found.minutes.tolist(), found.contributions.tolist(), strict=True
            )
        ]
        content = {"explanations": explanations} if asked.many else explanations[0]
        signed = f'"unit":{self._unit},{_signed(version, CHAMPION, request_id)}}}'
        return f"{json.dumps(content)[:-1]},{signed}".encode()

    def validated(self, asked: AskedRows, flags: Any) -> bytes:
        """Say that a request would be answered."""
        flagged = len(flags) if asked.many else int(bool(flags))
        return b'{"rows":%d,"flagged":%d}' % (len(asked.rows), flagged)

    def _list_in(self, content: dict[str, Any]) -> list[Any]:
        records: list[Any] = content[_ROWS]
        others = [name for name in content if name != _ROWS]
        if not records:
            raise RequestError(422, _ROWS, "must be a list of at least one row")
        if others:
            raise RequestError(422, shown(others[0]), f"there is no such field beside {_ROWS}")
        if len(records) > self._limits.max_trips:
            raise RequestError(
                413,
                _ROWS,
                f"{len(records)} rows are too many: send at most {self._limits.max_trips} at once",
            )
        return records

    def _checked(
        self, records: Sequence[Any], many: bool, as_of: datetime | None
    ) -> tuple[list[Row], dict[int, tuple[str, ...]]]:
        """Return the rows as they are understood, and the flags of those that have any."""
        problems: list[Problem] = []
        rows: list[Row] = []
        flags = {}
        window = self._window(as_of) if self._event else None
        for place, record in enumerate(records):
            row = self._form.read(record)
            here = f"{_ROWS}.{place}." if many else ""
            wrong = {**row.problems, **self._out_of(window, row.values)}
            problems += [
                Problem(shown(f"{here}{field}".rstrip(".")) or "body", why)
                for field, why in wrong.items()
            ]
            if len(problems) >= MAX_PROBLEMS:
                break
            rows.append(row.values)
            if row.flags:
                flags[place] = row.flags
        if problems:
            raise FieldsError(problems)
        return rows, flags

    def _window(self, as_of: datetime | None) -> tuple[datetime, datetime]:
        """Return the first and the last event that can be predicted."""
        limits, now = self._limits, datetime.now(self._zone).replace(tzinfo=None)
        first = as_of - timedelta(days=limits.max_days_before) if as_of else datetime.min
        return first, now + timedelta(days=limits.max_days_ahead)

    def _out_of(self, window: tuple[datetime, datetime] | None, row: Row) -> Mapping[str, str]:
        at = row[self._event] if window else None
        if window is None or at is None or window[0] <= at <= window[1]:
            return {}
        first, last = (f"{end:%Y-%m-%d %H:%M}" for end in window)
        return {
            self._event: f"times from {first} to {last} can be predicted, not {at:%Y-%m-%d %H:%M}"
        }

    def _written(self, row: Row, answer: Sequence[float], flags: Sequence[str]) -> str:
        return ",".join(self._parts(row, answer, flags))

    def _parts(self, row: Row, answer: Sequence[float], flags: Sequence[str]) -> Iterator[str]:
        if key := self._form.key_of(row):
            yield json.dumps(key)[1:-1]
        center, *bounds = answer
        lower, upper = (f"{end:.9g}" if math.isfinite(end) else "null" for end in bounds)
        yield f'"prediction":{center:.9g},"lower":{lower},"upper":{upper}'
        if flags:
            yield f'"flags":{json.dumps(flags)}'


def _signed(version: Version, role: str, request_id: str) -> str:
    synthetic = ',"synthetic":true' if version.synthetic else ""
    return (
        f'"model_version":{version.number}{synthetic},"role":"{role}","request_id":"{request_id}"'
    )


def _short(value: float) -> float:
    return float(f"{value:.9g}")
