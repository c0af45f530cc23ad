"""What is said of a declared dataset follows from its definition, and speaks of nothing else."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.wording import plural
from mlops.settings import load_settings
from tests.datasets.declared.deliveries import deliveries, frame_of

ROW = {
    "order": "a",
    "ordered_at": datetime(2024, 2, 26, 12, 30),
    "lasts": 40.0,
    "minutes": 40.0,
    "weight": 1.5,
    "quoted": 1_234.0,
    "fragile": True,
    "city": "Rome",
    "courier": None,
    "promised_at": datetime(2024, 2, 26, 13),
    "ready_at": None,
    "depot": "north",
}


def without_times(split: str) -> DatasetDefinition:
    left_out = dict.fromkeys(("histories", "slices"), "{}") | {"time": "null", "rules": "[]"}
    return deliveries(split=split, features="{city: category}", **left_out)


def test_every_feature_of_a_model_has_a_meaning() -> None:
    # given rows of which some lack each optional value
    bare = dict.fromkeys(("weight", "fragile", "courier", "promised_at", "ready_at"))
    rows = frame_of([ROW, ROW | {"courier": "x", "ready_at": ROW["ordered_at"]}, ROW | bare])
    definition = deliveries(histories="{}")
    encoder = TableEncoder.fit(definition, rows)

    words = DeclaredDataset(definition).words

    assert set(encoder.features) <= set(words.features)
    assert words.feature("courier_missing") == "whether courier is missing"
    assert words.feature("ready_at_hour") == "hour of ready at"
    assert words.feature("promised_at") == "minutes from ordered at to promised at"


def test_files_and_months_are_named_before_a_run() -> None:
    dataset = DeclaredDataset(deliveries())

    every = dataset.source_in_words(load_settings({"dataset": "deliveries"}))
    some = dataset.source_in_words(
        load_settings({"dataset": "deliveries", "source.months": "2024-01..2024-02"})
    )

    assert every == "deliveries_{month}.csv (dataset deliveries, all months)"
    assert some == "deliveries_{month}.csv (dataset deliveries, 2024-01..2024-02)"


def test_histories_say_of_what_and_of_whom() -> None:
    words = DeclaredDataset(
        deliveries(row="delivery", task="{target: minutes, meaning: time}")
    ).words

    assert (
        words.features["city_pace_mean"] == "usual time of the same city and courier (half-life 5d)"
    )
    assert words.features["city_pace_count"].startswith(
        "number of past deliveries of the same city"
    )
    assert words.features["hour_gain_mean"].startswith(
        "usual time less quoted of the same city, part of the day of ordered at and fragile"
    )


def test_the_owner_names_rows_and_answers() -> None:
    bare = DeclaredDataset(deliveries()).words
    named = DeclaredDataset(
        deliveries(
            row="order",
            task="{target: minutes, unit: minutes, meaning: time to the door}",
            card="{uses: Shops plan with it.}",
        )
    ).words

    assert (bare.prediction, bare.count(1)) == ("the minutes of a row, in minutes", "1 row")
    assert named.prediction == "the time to the door of an order, in minutes"
    assert named.count(12_000) == "12,000 orders"
    assert named.card.uses == ("Shops plan with it.",)
    assert named.card_file == "datasets/deliveries/dataset.yaml"


def test_words_about_rows_change_nothing_that_is_learned() -> None:
    plain, named = deliveries(), deliveries(row="order", card="{limits: [Nothing else.]}")

    assert plain.of_rows == named.of_rows


def test_a_model_is_reported_on_by_what_was_declared_when_it_learned() -> None:
    # given a definition that changed after a model was trained
    before = deliveries(histories="{}", task="{target: minutes, meaning: time}")
    encoder = TableEncoder.fit(before.of_rows, frame_of([ROW]))
    now = DeclaredDataset(
        deliveries(histories="{}", row="order", split="{validation: 3d, test: 1d}")
    )

    then = now.as_learned(encoder)

    assert then.definition.of_rows == before.of_rows
    assert (then.words.row, then.words.answer) == ("order", "time")


@pytest.mark.parametrize(
    ("split", "split_said", "resampled"),
    [
        ("{by: random, validation: 0.2, test: 0.2}", "divided at random", "rows"),
        (
            "{by: group, group: depot, validation: 0.2, test: 0.2}",
            "with all of the same depot in one window",
            "all rows of the same depot",
        ),
    ],
)
def test_a_split_without_times_is_stated(split: str, split_said: str, resampled: str) -> None:
    timeless = without_times(split)

    words = DeclaredDataset(timeless).words

    assert split_said in words.split and "follow each other" not in words.split
    assert words.resampled.startswith(resampled)
    assert words.times == ""


def test_rows_that_may_be_alike_have_one_number() -> None:
    later = ROW | {"ordered_at": datetime(2024, 2, 26, 12, 59), "depot": "south"}
    rows = frame_of([ROW, later, ROW | {"ordered_at": datetime(2024, 2, 26, 13, 0)}])
    by_group = "{by: group, group: depot, validation: 0.2, test: 0.2}"
    at_random = "{by: random, validation: 0.2, test: 0.2}"

    def clusters(split: str) -> list[int]:
        return DeclaredDataset(without_times(split)).clusters(rows).tolist()

    assert DeclaredDataset(deliveries()).clusters(rows).tolist() == [0, 0, 1]
    assert len(set(clusters(by_group)[:2])) == 2 and clusters(by_group)[0] == clusters(by_group)[2]
    assert clusters(at_random) == [0, 1, 2]


def test_a_row_is_described_by_what_is_known_of_it() -> None:
    dataset = DeclaredDataset(deliveries())
    rows = frame_of([ROW, ROW | {"courier": "x", "ready_at": ROW["ordered_at"]}])

    described = dataset.described(rows.iloc[0])

    assert described == (
        "ordered at 2024-02-26 12:30, city Rome, fragile yes, promised at 2024-02-26 13:00,"
        " quoted 1234 minutes, weight 1.5 kg"
    )
    assert dataset.exemplary(rows).tolist() == [False, True]
    assert isinstance(dataset.exemplary(pd.DataFrame(rows)), np.ndarray)


@pytest.mark.parametrize(
    ("noun", "several"),
    [("flight", "flights"), ("delivery", "deliveries"), ("day", "days"), ("batch", "batches")],
)
def test_plurals(noun: str, several: str) -> None:
    assert plural(noun) == several
