"""Deliveries of twenty days in two files, with a row of March in the file of February."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.data.references import FeatureTable
from mlops.datasets.declared.preparing.building import build
from mlops.datasets.declared.preparing.extracting import extract
from mlops.datasets.declared.preparing.validating import validate
from mlops.datasets.definition import DatasetDefinition
from mlops.settings import Settings, load_settings
from tests.datasets.declared.deliveries import START, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DAYS = 20


def rows_of_days(days: int = DAYS) -> pd.DataFrame:
    """Return a delivery every two hours, which lasts three hours."""
    return frame_of(
        [
            {
                **ROW,
                "order": str(number),
                "ordered_at": START + timedelta(hours=2 * number),
                "lasts": 180.0,
                "minutes": 30.0 + number % 17,
                "city": ("Rome", "Milan", None)[number % 3],
                "courier": None,
            }
            for number in range(12 * days)
        ]
    )


def written(folder: Path, rows: pd.DataFrame) -> str:
    """Write rows by month, the first of March with those of February; return the location."""
    folder.mkdir(exist_ok=True)
    months = rows["ordered_at"].dt.strftime("%Y-%m").copy()
    months[rows["ordered_at"] == pd.Timestamp("2024-03-01")] = "2024-02"
    for month, of_month in rows.groupby(months):
        of_month[::-1].to_csv(folder / f"deliveries_{month}.csv", index=False)
    return str(folder / "deliveries_{month}.csv")


@pytest.fixture
def location(tmp_path: Path) -> str:
    return written(tmp_path / "files", rows_of_days())


@pytest.fixture
def configured(tmp_path: Path, location: str) -> Callable[..., Settings]:
    """Return a maker of settings for the small table, with any changed."""

    def of(**changes: Any) -> Settings:
        changes = {name.replace("__", "."): value for name, value in changes.items()}
        return load_settings(
            {
                "home": str(tmp_path / "home"),
                "dataset": "deliveries",
                "location": location,
                "validation.min_rows": 1,
                "validation.min_days_covered": 0,
                **changes,
            }
        )

    return of


def prepared(settings: Settings, definition: DatasetDefinition | None = None) -> FeatureTable:
    """Extract, validate and build."""
    definition = definition or deliveries()
    return build(
        definition, validate(definition, extract(definition, settings), settings), settings
    )
