"""The log of a declared dataset: its own columns, read back as they were asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlops.datasets.declared.requests import RowForm
from mlops.datasets.loading import parse_definition
from mlops.errors import ConfigurationError
from mlops.serving.log.parquet import compact, read_parquet
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.log.reading import compact_log, read_log
from mlops.serving.log.rows import LogLayout, logged_name, table_log
from mlops.settings import Settings, load_settings
from tests.datasets.declared.deliveries import DELIVERIES

FORM = RowForm(parse_definition(DELIVERIES, "deliveries.yaml"))
LAYOUT = table_log(FORM.columns)
ROW: dict[str, Any] = {
    "ordered_at": "2024-03-07T12:30:00",
    "weight": 2.5,
    "quoted": 30,
    "fragile": True,
    "city": "Rome",
    "order": "a-17",
}


@pytest.fixture
def settings(tmp_path: Path, declare: Callable[[str], Path]) -> Settings:
    declare(DELIVERIES)
    changes = {"home": str(tmp_path), "dataset": "deliveries", "prediction_log.flush_seconds": 60}
    return load_settings(changes)


def logged(settings: Settings, *requests: Any, layout: LogLayout = LAYOUT) -> None:
    """Log requests: a row, or a list of rows."""
    log = PredictionLog(settings, f"worker-{len(requests)}", layout)
    for number, request in enumerate(requests):
        many = isinstance(request, list)
        rows = [FORM.read(row).values for row in (request if many else [request])]
        answers = [(40.123456789, 30.0, float("nan"))] * len(rows)
        log.append(
            request_id=f"r-{number}",
            caller="tester",
            endpoint="predict",
            version=3,
            role="champion",
            columns={name: [row[name] for row in rows] for name in FORM.columns},
            miles=None,
            minutes=np.array(answers) if many else tuple(answers),
        )
    log.close()
    assert log.dropped == 0


def span() -> tuple[datetime, datetime]:
    now = datetime.now(timezone.utc)
    return now - timedelta(hours=1), now + timedelta(hours=1)


def test_rows_come_back_as_they_were_asked(settings: Settings) -> None:
    short = {name: ROW[name] for name in ("ordered_at", "quoted", "city", "weight")}
    logged(settings, ROW, [ROW, short, {**ROW, "fragile": None}], short)

    frame = read_log(settings, *span())

    assert len(frame) == 5
    assert list(frame.columns) == LAYOUT.schema.names
    ordered = frame.sort_values(["request_id", "row"])
    assert ordered["order"].tolist() == ["a-17", "a-17", None, "a-17", None]
    assert ordered["fragile"].tolist() == [True, True, None, None, None]
    assert ordered["quoted"].tolist() == [30.0] * 5
    assert set(ordered["ordered_at"]) == {datetime(2024, 3, 7, 12, 30)}
    assert ordered["promised_at"].isna().all()
    assert set(ordered["prediction"]) == {40.123456789}, "targets of any size keep their digits"
    assert ordered["upper"].isna().all()
    assert set(ordered["version"]) == {3}


def test_a_column_that_does_not_exist_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no column miles_used"):
        read_log(settings, *span(), columns=["miles_used"])


def test_names_of_the_log_are_never_taken() -> None:
    names = ["row", "row_", "version", "prediction", "other"]

    stored = [logged_name(name) for name in names]

    assert stored == ["row_", "row__", "version_", "prediction_", "other"]
    columns = dict.fromkeys(names, FORM.columns["quoted"])
    fields = table_log(columns).schema.names
    assert len(set(fields)) == len(fields)


def test_a_log_outlives_an_edited_definition(settings: Settings) -> None:
    # given answers that were logged before a column was added and another one removed
    fewer = {name: column for name, column in FORM.columns.items() if name != "courier"}
    before = table_log({**fewer, "gone": FORM.columns["quoted"]})
    logged(settings, ROW, layout=before)
    logged(settings, ROW, {**ROW, "courier": "x"})

    # when they are joined and read
    joined = compact_log(settings, at_least=1)
    frame = read_log(settings, *span())

    # then what is old stays as it was, and lacks what it never had
    assert joined == 1
    assert sorted(frame["courier"].tolist(), key=str) == [None, None, "x"]
    [day] = settings.prediction_log_folder.glob("date=*")
    assert any("gone" in pq.read_schema(file).names for file in day.glob("*.parquet"))
    assert compact(day, 1, before.schema) == 1
    table = read_parquet(settings.prediction_log_folder, *span(), ["gone"], before.schema)
    assert table.num_rows == 3


def test_small_files_are_joined_whatever_the_order_of_their_columns(settings: Settings) -> None:
    logged(settings, ROW, layout=table_log(dict(reversed(FORM.columns.items()))))
    logged(settings, ROW, [ROW, ROW])

    assert compact_log(settings, at_least=2) == 2
    assert len(read_log(settings, *span(), columns=["order", "prediction"])) == 4
