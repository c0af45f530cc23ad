"""Reports speak of a table in its own words: true without times, units or slices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

import mlops
from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.loading import parse_definition
from mlops.registry.versions import VersionInfo
from mlops.reports.document import render
from mlops.reports.examination import Examination, examine
from mlops.reports.facts import CardFacts, WindowFacts
from mlops.reports.groups import clusters_of, measure_groups
from mlops.reports.model_card import model_card
from mlops.reports.monitoring_window import monitoring_window
from mlops.training.artifact import TabularModel
from tests.reports.conftest import finding

AT = datetime(2024, 3, 2, tzinfo=timezone.utc)
HOUSES: Final = """
name: houses
title: What does a house cost?
row: house
source: {location: houses.csv}
task: {target: price}
features: {area: number, district: category}
split: {by: random, validation: 0.2, test: 0.2}
slices: {district: district}
"""
# What only the worked case may say.
OF_TRIPS: Final = re.compile(
    r"\b(zones?|pickups?|drop-?offs?|boroughs?|taxis?|trips?|passengers?|fares?|min|minutes?)\b"
    r"|duration|too long|too short",
    re.IGNORECASE,
)


def houses(number: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    area = random.uniform(30, 300, number)
    district = random.choice(["north", "south"], number).astype(object)
    price = 2_000 * area * np.where(district == "north", 1.5, 1.0)
    noise = random.normal(0, np.where(district == "north", 60_000, 20_000))
    return pd.DataFrame({"area": area, "district": district, "price": price + noise})


@pytest.fixture(scope="module")
def dataset() -> DeclaredDataset:
    return DeclaredDataset(parse_definition(HOUSES, "dataset.yaml"))


@pytest.fixture(scope="module")
def found(dataset: DeclaredDataset) -> Examination:
    train = houses(600)
    encoder = TableEncoder.fit(dataset.definition.of_rows, train)
    params = {"rounds": 20, "max_depth": 3}
    model = TabularModel.fit("squared_error", params, train, encoder, "price", seed=1, threads=1)
    return examine(model, houses(400, seed=1), 1, dataset)


def facts_of(found: Examination | None, dataset: DeclaredDataset, info: VersionInfo) -> CardFacts:
    return CardFacts("houses", info, dataset.words, AT, examination=found, min_rows=50)


def test_a_card_of_a_table_without_times_is_true(
    found: Examination,
    dataset: DeclaredDataset,
    by_hand: VersionInfo,
    read_page: Callable[[str], Any],
) -> None:
    page = read_page(render(model_card(facts_of(found, dataset, by_hand))))

    assert found.start is None and found.overall.relative is not None
    for known in (
        "Version 5 predicts the price of a house.",
        "Question What does a house cost?",
        "On 400 houses that it had never seen",
        "one house in ten has a larger error",
        "500 resamples of houses (",
        "It is worst for houses with district north",
        "A house with a high prediction: area",
        "The confidence intervals treat houses as independent of each other.",
        "measured on one sample of houses",
        "Data does not show what the model is for and what it is not for",
        "under card.uses and card.limits in datasets/houses/dataset.yaml",
        "under card.ethics in datasets/houses/dataset.yaml",
        "Errors by group",
        f"{found.overall.mae.value:,.0f}",
    ):
        assert known in page.text, known
    assert not OF_TRIPS.findall(page.text)


def test_what_the_owner_says_stands_in_the_card(
    found: Examination, dataset: DeclaredDataset, by_hand: VersionInfo
) -> None:
    said = parse_definition(
        HOUSES + "card: {uses: Sellers ask it., ethics: [No names.], limits: [Castles.]}", "x.yaml"
    )
    facts = replace(facts_of(found, dataset, by_hand), words=DeclaredDataset(said).words)

    html = render(model_card(facts))

    assert all(text in html for text in ("Sellers ask it.", "No names.", "Castles."))
    assert "Data does not show" not in html


def test_without_slices_a_card_says_so(
    found: Examination, dataset: DeclaredDataset, by_hand: VersionInfo
) -> None:
    alone = found.model_copy(update={"groups": found.groups[:1]})

    html = render(model_card(facts_of(alone, dataset, by_hand)))

    assert "The dataset declares no slices" in html
    assert "In no group above" not in html


def test_errors_relative_to_answers_need_answers_above_zero(dataset: DeclaredDataset) -> None:
    rows = houses(50)
    rows.loc[0, "price"] = 0.0
    predicted = np.column_stack([rows["price"] + 1, *[np.full(len(rows), np.nan)] * 2])

    groups = measure_groups(rows, predicted, dataset)

    assert {group.relative for group in groups} == {None}
    assert groups[0].bias.value == pytest.approx(1)


def test_very_many_rows_are_resampled_in_bundles_with_the_same_spread(
    dataset: DeclaredDataset,
) -> None:
    rows = houses(20_000)
    random = np.random.default_rng(2)
    error = random.normal(0, 10, len(rows))
    predicted = np.column_stack([rows["price"] + error, *[np.full(len(rows), np.nan)] * 2])

    cluster, clusters = clusters_of(rows, dataset)
    bias = measure_groups(rows, predicted, dataset)[0].bias

    assert clusters == 4_000 and np.bincount(cluster).max() == 5
    expected = 2 * 1.96 * error.std() / np.sqrt(len(rows))
    assert bias.high - bias.low == pytest.approx(expected, rel=0.15)


def test_a_window_is_reported_in_the_words_of_its_dataset(
    dataset: DeclaredDataset, make_window: Callable[..., Any]
) -> None:
    window = make_window(labelled=False)
    own = window.report.model_copy(update={"findings": ()})
    record = window.model_copy(update={"report": own})

    html = render(monitoring_window(WindowFacts(record, dataset.words, AT)))

    assert "The actual price of these houses is not known yet." in html
    text = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    assert not OF_TRIPS.findall(text)


def test_errors_of_answers_without_a_unit_read_as_amounts_not_as_distances(
    dataset: DeclaredDataset, make_window: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    window = make_window()
    own = tuple(
        finding(
            "performance", subject, statistic, value=value, reference=5_000.0, limit=6_000.0,
            interval=(value - 1_000, value + 1_000), outcome="alarm", unit="",
        )
        for subject in ("all rows", "district: north")
        for statistic, value in (("rmse", 8_000.0), ("mae", 7_000.0))
    )  # fmt: skip
    record = window.model_copy(
        update={"report": window.report.model_copy(update={"findings": own})}
    )

    page = read_page(render(monitoring_window(WindowFacts(record, dataset.words, AT))))

    for known in (
        "first of all: all rows: RMSE is 8,000.00, expected is 5,000.00, limit 6,000.00",
        "The actual price of 4,000 houses is known: their RMSE is 8,000.00; 5,000.00 was expected",
        "Mean absolute error by district",
        "6,000.00 to 8,000.00",
    ):
        assert known in page.text, known
    assert not OF_TRIPS.findall(page.text)


@pytest.mark.parametrize("room", ["reports", "drawing"])
def test_the_rooms_of_pages_know_no_problem(room: str) -> None:
    known = re.compile(
        r"\b(zones?|pickups?|dropoffs?|boroughs?|taxis?|passengers?|fares?)\b|all trips"
    )
    for file in sorted((Path(mlops.__file__).parent / room).glob("*.py")):
        text = re.sub(r"[Ww]ith time zone|has a zone", "", file.read_text(encoding="utf-8"))
        assert not known.findall(text), file
