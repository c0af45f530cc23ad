"""Predictions for rows given as JSON records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mlops.datasets.declared.requests import RowForm
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.opening import dataset_of, declared_definition
from mlops.datasets.taxi.trips import TRIP_ID
from mlops.errors import DataQualityError
from mlops.inference.overlap import Model, predictions_of
from mlops.inference.requests import parse_requests
from mlops.settings import DEFAULT_DATASET, Settings


def predict_records(
    model: Model, records: Sequence[Any], settings: Settings
) -> list[dict[str, Any]]:
    """Predict rows given as JSON records.

    Args:
        model: Answers requests of the dataset that the settings name.
        records: Objects with the fields of a request.
        settings: Name the dataset, and hold limits on requests.

    Returns:
        Per record, in order: its ``trip_id`` or ``key``, if it has one, and the prediction with its
        interval.

    Raises:
        DataQualityError: Naming the index of the first bad record, the field and what is wrong.
    """
    if not records:
        return []
    if settings.dataset == DEFAULT_DATASET:
        trips, frame = parse_requests(records, settings)
        ids = [trip.trip_id for trip in trips]
        names: list[Mapping[str, Any]] = [{} if id_ is None else {TRIP_ID: id_} for id_ in ids]
    else:
        names, frame = _rows(records, declared_definition(settings))
    outputs = dataset_of(settings).request_files(settings).outputs
    answers = predictions_of(model, frame).astype(float).tolist()
    return [
        {**name, **dict(zip(outputs, values, strict=True))}
        for name, values in zip(names, answers, strict=True)
    ]


def _rows(
    records: Sequence[Any], definition: DatasetDefinition
) -> tuple[list[Mapping[str, Any]], pd.DataFrame]:
    """Return the keys of rows, and the columns that a model is asked with."""
    form = RowForm(definition)
    rows = []
    for place, record in enumerate(records):
        row = form.read(record)
        if row.problems:
            problems = (f"{field} {why}".strip() for field, why in row.problems.items())
            needed = [name for name, column in form.columns.items() if not column.optional]
            others = [name for name in form.columns if name not in needed]
            raise DataQualityError(
                f"record {place}: {'; '.join(problems)}",
                f"a record has {', '.join(needed) or 'any'}"
                + (f", and may have {', '.join(others)}" if others else ""),
            )
        rows.append(row.values)
    frame = pd.DataFrame(form.arrays(rows))[[*definition.request_columns]]
    return [form.key_of(row) for row in rows], frame
