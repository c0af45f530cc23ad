"""Each rule of the data contract catches what it says, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import RuleCount
from mlops.datasets.taxi.contract.rule_names import FORMER_NAMES, current_measure
from mlops.datasets.taxi.contract.rules import RULES, meaning_of, rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET, TRIP_COLUMNS
from mlops.errors import ConfigurationError
from mlops.monitoring.reference.nulls import Nulls
from mlops.monitoring.reference.tables import ShareTable
from mlops.settings import ValidationSettings

LIMITS = ValidationSettings()
NAT = pd.NaT

# A change to one good trip → the rules it breaks.
CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"pickup_at": NAT}, {"pickup_time_invalid", "duration_out_of_range"}),
    (
        {"pickup_at": pd.Timestamp("2008-12-31")},
        {"pickup_time_invalid", "pickup_outside_month", "duration_out_of_range"},
    ),
    ({"pickup_at": "next month"}, {"pickup_outside_month"}),
    ({"dropoff_at": NAT}, {"duration_out_of_range"}),
    ({"minutes": 0.9, "trip_distance": 0.5}, {"duration_out_of_range"}),
    ({"minutes": 1.0, "trip_distance": 0.5}, set()),
    ({"minutes": 60.0}, set()),
    ({"minutes": 60.1}, {"duration_out_of_range"}),
    ({"minutes": -10.0}, {"duration_out_of_range"}),
    ({"pickup_zone": 0}, {"zone_invalid"}),
    ({"dropoff_zone": 266}, {"zone_invalid"}),
    ({"dropoff_zone": 265}, {"zone_unknown"}),
    ({"trip_distance": -0.1}, {"distance_negative"}),
    ({"trip_distance": 0.0}, {"distance_zero"}),
    ({"trip_distance": np.nan}, set()),
    ({"trip_distance": np.inf}, {"distance_too_long", "speed_too_high", "number_infinite"}),
    ({"trip_distance": -np.inf}, {"distance_negative", "number_infinite"}),
    ({"trip_distance": 134_625.0}, {"distance_too_long", "speed_too_high"}),
    ({"trip_distance": 34.0, "minutes": 20.0}, {"speed_too_high"}),
    ({"trip_distance": 33.0, "minutes": 20.0}, set()),
    ({"rate_code": np.nan}, {"codes_incomplete"}),
    ({"rate_code": 7.0}, {"rate_code_unknown"}),
    ({"rate_code": 99.0}, set()),
    ({"passenger_count": np.nan}, {"codes_incomplete"}),
    ({"passenger_count": 0.0}, {"passengers_zero"}),
    ({"passenger_count": 9.0}, set()),
    ({"passenger_count": 10.0}, {"passengers_impossible"}),
    ({"passenger_count": -1.0}, {"passengers_impossible"}),
    ({"passenger_count": 1.5}, {"passengers_impossible"}),
    ({"passenger_count": np.inf}, {"passengers_impossible", "number_infinite"}),
    ({"vendor_id": -np.inf}, {"number_infinite"}),
    ({"fare_amount": np.inf}, {"number_infinite"}),
    ({"trip_type": np.nan, "vendor_id": np.nan}, set()),
    ({"fare_amount": -5.0}, {"fare_negative"}),
]


def changed(trips: pd.DataFrame, change: dict[str, Any]) -> pd.DataFrame:
    """Apply a case to the second trip; a new duration or month moves both times together."""
    trips, change = trips.copy(), dict(change)
    if "minutes" in change:
        minutes = pd.Timedelta(minutes=change.pop("minutes"))
        trips.loc[1, "dropoff_at"] = trips.loc[1, "pickup_at"] + minutes
    if change.get("pickup_at") == "next month":
        del change["pickup_at"]
        for column in ("pickup_at", "dropoff_at"):
            trips.loc[1, column] += pd.Timedelta(days=40)
    for column, value in change.items():
        trips.loc[1, column] = value
    return trips.assign(
        **{TARGET: (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds() / 60}
    )


@pytest.mark.parametrize(("change", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_change_breaks_exactly_the_rules_about_it(
    make_trips: Any, change: dict[str, Any], expected: set[str]
) -> None:
    # Given three good trips, of which the second is changed
    trips = changed(make_trips(3), change)
    # When they are held to the contract
    broken = broken_rules(trips, trip_schema(rules_in_force(LIMITS), LIMITS, "2024-01"))
    # Then only these rules are broken, and only by that trip
    assert set(broken) == expected
    assert all(mask.tolist() == [False, True, False] for mask in broken.values())


def test_every_rule_has_a_case() -> None:
    covered = set().union(*(expected for _, expected in CASES)) | {
        "duplicate",
        "pickup_time_skipped",
    }
    assert covered == {rule.name for rule in RULES}


def test_a_pickup_in_the_hour_that_the_clocks_skip_is_flagged(make_trips: Any) -> None:
    trips = make_trips(3)
    trips["pickup_at"] = pd.to_datetime(
        ["2024-03-10 01:59", "2024-03-10 02:30", "2024-03-10 03:00"]
    )
    trips["dropoff_at"] = trips["pickup_at"] + pd.Timedelta(minutes=20)
    trips = changed(trips.astype(TRIP_COLUMNS), {}).assign(duration_minutes=20.0)
    broken = broken_rules(trips, trip_schema(rules_in_force(LIMITS), LIMITS, "2024-03"))
    assert {n: m.tolist() for n, m in broken.items() if n != "speed_too_high"} == {
        "pickup_time_skipped": [False, True, False]
    }


def test_former_names_still_say_what_they_said() -> None:
    names = {rule.name for rule in RULES}
    assert set(FORMER_NAMES.values()) <= names
    assert not set(FORMER_NAMES) & names
    # in settings
    limits = ValidationSettings(actions={"zone_known": "quarantine"})
    assert rules_in_force(limits)["zone_unknown"].action == "quarantine"
    # in manifests
    count = RuleCount(rule="fare_sign", action="flag", rows=1, share=0.1, meaning="")
    assert count.rule == "fare_negative"
    # and in what monitoring has stored
    assert ShareTable(name="rule zone_known", counts=()).name == "rule zone_unknown"
    spread = {"quality rule duration share": {"persistent": 0, "shrinking": 0}}
    nulls = Nulls.model_validate({"centres": {}, "spreads": spread, "widths": {}})
    assert set(nulls.spreads) == {"quality rule duration_out_of_range share"}
    assert current_measure("rule duration_out_of_range") == "rule duration_out_of_range"


def test_of_equal_rows_only_the_first_obeys(make_trips: Any) -> None:
    trips = make_trips(2)
    trips = changed(pd.concat([trips, trips], ignore_index=True), {})
    broken = broken_rules(trips, trip_schema(rules_in_force(LIMITS), LIMITS, "2024-01"))
    assert {name: mask.tolist() for name, mask in broken.items()} == {
        "duplicate": [False, False, True, True]
    }


def test_settings_change_what_a_rule_does() -> None:
    limits = ValidationSettings(actions={"fare_negative": "quarantine", "speed_too_high": "ignore"})
    rules = rules_in_force(limits)
    assert rules["fare_negative"].action == "quarantine"
    assert "speed_too_high" not in rules


def test_an_unknown_rule_is_refused_with_the_list_of_rules() -> None:
    with pytest.raises(ConfigurationError, match=r"no rule 'sped'") as caught:
        rules_in_force(ValidationSettings(actions={"sped": "flag"}))
    assert all(rule.name in caught.value.hint for rule in RULES)


def test_rules_at_pickup_need_only_the_columns_of_a_request(make_trips: Any) -> None:
    requests = make_trips(5)[list(REQUEST_COLUMNS)]
    rules = rules_in_force(LIMITS, at_pickup=True)
    assert broken_rules(requests, trip_schema(rules, LIMITS)) == {}


def test_meanings_name_the_limits_in_force() -> None:
    by_name = {rule.name: rule for rule in RULES}
    limits = ValidationSettings(max_minutes=45)
    assert "1 to 45 minutes" in meaning_of(by_name["duration_out_of_range"], limits)
