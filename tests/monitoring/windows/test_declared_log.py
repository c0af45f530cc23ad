"""Logged answers of a declared dataset become windows, and find their labels in later files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops.datasets.answers import ANSWER
from mlops.datasets.declared.requests import RowForm
from mlops.datasets.opening import declared_definition
from mlops.monitoring.windows import collecting
from mlops.monitoring.windows.staging import StagedWindow, read_staged
from mlops.serving.log.parquet import ParquetSink
from mlops.serving.log.rows import Answers, table_log, to_table
from mlops.settings import Settings, load_settings

ASKED = datetime(2024, 3, 5, 8, tzinfo=timezone.utc)
NOW = ASKED + timedelta(hours=4)
SALES = {
    "name": "sales",
    "title": "What does a sale bring?",
    "source": {"location": "sales_{month}.csv", "partition": "month"},
    "task": {"target": "row", "unit": "€"},  # as the log calls the place of a row
    "time": {"event": "at", "zone": "Europe/Rome"},  # as the log calls the time of an answer
    "key": ["prediction"],  # as the log calls the answer
    "features": {"version": "number", "shop": "category", "open": "flag", "due": "time"},
    "context": {"role": "category"},
}


@pytest.fixture
def settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[[str], Path]
) -> Settings:
    declare(yaml.safe_dump(SALES))
    for name, nothing in (("take_snapshots", None), ("source_windows", ())):
        monkeypatch.setattr(collecting, name, lambda *arguments, found=nothing: found)
    return load_settings(
        {
            **{"home": str(tmp_path), "dataset": "sales"},
            **{"monitoring.window_trips": 1_000, "monitoring.min_window_trips": 500},
        }
    )


def sales(rows: int = 1_200) -> pd.DataFrame:
    place = np.arange(rows)
    at = pd.Series(pd.date_range("2024-03-05 09:00", periods=rows, freq="1s")).dt.as_unit("us")
    return pd.DataFrame(
        {
            "prediction": [f"sale {n}" for n in place],
            "at": at,
            "version": place * 0.1,
            "shop": np.where(place % 7, "north", None),
            "open": np.where(place % 5, place % 2 == 0, None),
            "due": at + pd.Timedelta(hours=2),
            "row": place + 0.25,
            "role": "any",
        }
    )


def log(settings: Settings, rows: pd.DataFrame) -> None:
    layout = table_log(RowForm(declared_definition(settings)).columns)
    answers = np.column_stack([np.arange(len(rows)) + shift for shift in (0.5, 0.0, 1.0)])
    columns = {name: rows[name].to_numpy() for name in layout.columns}
    requests = [
        Answers(
            *(f"r{n}", int((ASKED + timedelta(seconds=n)).timestamp() * 1e9)),
            *("someone", "predict", 2, "champion"),
            {name: values[n : n + 1].tolist() for name, values in columns.items()},
            None,
            answers[n : n + 1],
        )
        for n in range(len(rows))
    ]
    ParquetSink(settings.prediction_log_folder).write("part", to_table(requests, layout))


def served(settings: Settings) -> StagedWindow:
    (window,) = collecting.collect(settings, NOW)
    return window


def test_a_window_holds_what_was_asked_whatever_columns_are_called(settings: Settings) -> None:
    rows = sales()
    log(settings, rows)

    window = served(settings)

    assert (window.version, window.rows, window.labelled) == (2, 1_000, 0)
    assert window.labels_from == {"2024-03": ""}
    found, answers, at = read_staged(window)
    assert found["prediction"].tolist() == rows["prediction"][:1_000].tolist()
    assert found["at"].tolist() == rows["at"][:1_000].tolist()
    assert found["version"].to_numpy() == pytest.approx(rows["version"][:1_000].to_numpy())
    assert found["open"].dtype == np.float64 and found["open"].isna().sum() == 200
    assert found["shop"].isna().sum() == 143
    assert answers[ANSWER[0]].tolist() == [n + 0.5 for n in range(1_000)]
    assert at is not None and at[0] == pd.Timestamp(ASKED)


def test_labels_are_found_by_the_key_once_the_file_of_the_month_is_there(
    settings: Settings, tmp_path: Path
) -> None:
    rows = sales()
    log(settings, rows)
    # given a file in another order, without some of the sales and without the outcome of others
    known: Any = rows[rows.index % 10 != 3].sample(frac=1, random_state=1)
    known.loc[known.index % 10 == 4, "row"] = np.nan
    known.to_csv(tmp_path / "datasets" / "sales" / "sales_2024-03.csv", index=False)

    window = served(settings)

    assert window.labelled == 800 and window.labels_from["2024-03"]
    found = read_staged(window).rows
    missing = found.index % 10
    assert found["row"].isna().tolist() == [n in (3, 4) for n in missing]
    assert (found["row"].dropna() == found.index[found["row"].notna()] + 0.25).all()
    assert set(found["role"].dropna()) == {"any"}
