"""The Data page of a declared dataset: its own columns, its own clock, and no clock at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.data.store.snapshots import publish_training_set
from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.definition import DatasetDefinition
from mlops.observability import data_tables
from mlops.observability.data_tables import TABLES
from mlops.observability.world import ObservedWorld
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.datasets.declared.preparing.conftest import (
    configured,
    location,
    prepared,
    rows_of_days,
)
from tests.serving.tables import TIMELESS

__all__ = ["configured", "location"]
Tables = Callable[[DatasetDefinition], dict[str, Any]]


@pytest.fixture
def tables(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Tables:
    """Return a maker of all tables of the page, from a training set of few deliveries."""

    def of(definition: DatasetDefinition) -> dict[str, Any]:
        everything = tmp_path / "all.csv"
        rows_of_days().to_csv(everything, index=False)
        settings = configured() if definition.time else configured(location=str(everything))
        monkeypatch.setattr(data_tables, "dataset_of", lambda _: DeclaredDataset(definition))
        publish_training_set(prepared(settings, definition), settings, "c0ffee")
        world = ObservedWorld(settings)
        return {name: table.of(world) for name, table in TABLES.items()}

    return of


def test_rows_are_counted_by_hour_in_their_windows(tables: Tables) -> None:
    made = tables(deliveries(split="{validation: 2d, test: 18d}"))

    hours = made["hours"].groupby("window")["rows"].sum()
    assert hours["test"] > 0 and hours.sum() < made["volume"]["kept"].sum() == 240
    assert set(made["missing"]["column"]) == set(deliveries().features)
    city = made["missing"].query("column == 'city'")
    assert city["share"].round(2).tolist() == [0.33, 0.33]
    assert made["profiles"].empty


def test_rows_without_a_time_have_no_hours(tables: Tables) -> None:
    made = tables(TIMELESS)

    assert made["hours"].empty and made["profiles"].empty
    assert set(made["missing"]["month"]) == {"all"} and made["volume"]["kept"].sum() > 0
