"""The months of a declared dataset are those of its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.datasets.declared.months import months_there, with_months
from mlops.settings import Settings, load_settings

DEFINITION = """
name: parcels
title: How long does a parcel take
source: {location: "parcels_{month}.csv", partition: month}
task: {target: hours}
time: {event: sent_at}
features: {weight: number}
"""


@pytest.fixture
def folder(declare: Callable[[str], Path]) -> Path:
    folder = declare(DEFINITION)
    for month in ("2024-02", "2023-12", "2024-13"):
        (folder / f"parcels_{month}.csv").touch()
    return folder


def parcels(**given: str) -> Settings:
    return load_settings({"dataset": "parcels", **given})


def test_the_months_that_there_are_count_not_those_that_are_asked_for(folder: Path) -> None:
    assert months_there(parcels()) == ("2023-12", "2024-02")
    assert months_there(parcels(months="2024-02")) == ("2023-12", "2024-02")


def test_all_months_are_those_that_there_are(folder: Path) -> None:
    assert with_months(parcels()).source.months == "2023-12,2024-02"
    (folder / "parcels_2024-01.csv").touch()
    assert with_months(parcels()).source.months == "2023-12..2024-02"

    asked = parcels(months="2024-02")
    assert with_months(asked) is asked


def test_another_location_has_its_own_months_or_none(folder: Path) -> None:
    (folder / "new_2024-03.csv").touch()

    assert months_there(parcels(location=str(folder / "new_{month}.csv"))) == ("2024-03",)
    whole = parcels(location=str(folder / "new_2024-03.csv"))
    assert months_there(whole) == ()
    assert with_months(whole) is whole
