"""The form of the playground: what it asks, how it is read, what is said of a bad field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import FEATURES
from mlops.datasets.taxi.trips import UNKNOWN_ZONES
from mlops.datasets.taxi.zone_names import ZONE_NAMES, zone_label
from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.admission import PIPELINES
from mlops.steps.playground import EXAMPLE, FIELDS, GROUPS, in_words, predict, trip_from

ROOT = Path(__file__).resolve().parents[2]
ROUTE = {"pickup_zone": "74", "dropoff_zone": "166"}


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "interactions" / "trip.yaml").read_text())
    return content


def test_the_form_asks_for_what_the_step_reads(form: dict[str, Any]) -> None:
    shown = {item["variable"] for row in form["layout"] for item in row}

    assert shown == set(form["variables"]) == set(FIELDS)
    assert all(v["input"] in form["inputs"] for v in form["variables"].values())
    assert shown <= set(PIPELINES["predict"].variables)  # `mlops pipeline run predict --var …`


def test_the_form_offers_every_zone_by_name(form: dict[str, Any]) -> None:
    zones = [zone for zone in range(1, len(ZONE_NAMES) + 1) if zone not in UNKNOWN_ZONES]

    assert form["inputs"]["zone"]["options"] == [
        {"label": zone_label(zone), "value": zone} for zone in zones
    ]


def test_the_pipeline_shows_the_form() -> None:
    text = (ROOT / "pipelines" / "predict" / "interactions.yaml").read_text()
    shown = yaml.safe_load(text)
    [[item]] = shown["layout"]

    assert (ROOT / "interactions" / item["interaction"]).exists()
    assert [i["uuid"] for i in shown["blocks"][item["block_uuid"]]] == [item["interaction"]]


def test_every_feature_is_spoken_of_once() -> None:
    spoken = [name for names in GROUPS.values() for name in names]

    assert sorted(spoken) == sorted(FEATURES)


def test_empty_fields_are_not_known() -> None:
    trip = trip_from({**ROUTE, "trip_distance": "", "passenger_count": None, "pickup_at": "  "})

    assert set(trip) == {"pickup_at", "pickup_zone", "dropoff_zone"}


def test_no_time_means_now_in_new_york() -> None:
    noon_utc = datetime(2024, 7, 1, 12, 5, 59, tzinfo=timezone.utc)

    assert trip_from(ROUTE, now=noon_utc)["pickup_at"] == "2024-07-01 08:05"


@given(zone=st.integers(1, 263), miles=st.floats(0, 100), passengers=st.integers(0, 9))
def test_text_and_numbers_read_the_same(zone: int, miles: float, passengers: int) -> None:
    numbers = {
        "pickup_zone": zone,
        "dropoff_zone": 1,
        "trip_distance": miles,
        "passenger_count": passengers,
        "pickup_at": "2024-03-01 08:30",
    }
    texts = {name: str(value) for name, value in numbers.items()}
    texts["pickup_zone"] = zone_label(zone)

    assert trip_from(texts) == trip_from(numbers)
    assert trip_from(texts)["trip_distance"] == miles


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("pickup_zone", "", "is missing"),
        ("dropoff_zone", "Harlem", "cannot be read"),
        ("dropoff_zone", "7.5", "cannot be read"),
        ("trip_distance", "two", "cannot be read"),
        ("passenger_count", "1;drop", "cannot be read"),
    ],
)
def test_a_bad_field_is_named(field: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}: .*{problem}") as caught:
        trip_from({**ROUTE, field: value})

    assert caught.value.hint == FIELDS[field]


def test_the_first_click_answers_for_an_example(
    tmp_path: Path, make_champion: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    make_champion(tmp_path)

    # Given nothing but what Mage adds by itself
    answered = predict({"home": str(tmp_path), "env": "dev", "event": {}})

    assert {name: answered["trip"][name] for name in EXAMPLE} == EXAMPLE
    assert answered["lower_minutes"] < answered["upper_minutes"]
    assert "this is an example" in capsys.readouterr().out
    # But half a trip is a mistake
    with pytest.raises(ConfigurationError, match="dropoff_zone: is missing"):
        predict({"home": str(tmp_path), "pickup_zone": 74})


def test_an_answer_is_a_sentence_with_its_interval_and_version() -> None:
    minutes = {"prediction_minutes": 14.2, "lower_minutes": 9.4, "upper_minutes": 20.1}
    trip = trip_from({**ROUTE, "trip_distance": "2.50", "pickup_at": "2024-03-01 08:30"})

    assert in_words(trip, minutes, version=3) == (
        "14 minutes (8 of 10 such trips take 9 to 20) from 74 East Harlem North, Manhattan"
        " to 166 Morningside Heights, Manhattan, 2.5 miles, at 2024-03-01 08:30, says version 3"
    )
