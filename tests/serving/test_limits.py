"""Without a frame, a request is held to the very rules of the data contract."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.contract.rules import RULES, rules_in_force
from mlops.data.contract.schema import broken_rules, trip_schema
from mlops.data.trips import REQUEST_COLUMNS
from mlops.inference.trip import NEW_YORK, TripRequest
from mlops.serving.errors import RequestError
from mlops.serving.limits import RequestRules
from mlops.settings import load_settings

AS_OF = datetime(2024, 3, 1)
# No limit on dates: they are the server's own, not the contract's.
SETTINGS = load_settings({"serving.max_days_ahead": 40_000, "serving.max_days_before": 40_000})
RULES_OF_REQUESTS = RequestRules.of(SETTINGS)

numbers = st.one_of(
    st.none(),
    st.sampled_from([-1.0, 0.0, 1.0, 2.5, 6.0, 7.0, 9.0, 10.0, 99.0, 100.0, 100.5]),
    st.floats(-1e9, 1e9),
)
zones = st.one_of(st.integers(-3, 270), st.integers(-(2**31), 2**31 - 1))
trips = st.builds(
    lambda at, *values: TripRequest(
        pickup_at=at,
        **dict(zip([n for n in REQUEST_COLUMNS if n != "pickup_at"], values, strict=True)),
    ),
    st.datetimes(datetime(1990, 1, 1), datetime(2120, 1, 1)),
    zones,
    zones,
    *[numbers] * 5,
)


def columns_of(requests: list[TripRequest]) -> dict[str, Any]:
    return {
        name: np.array([getattr(request, name) for request in requests], dtype=kind)
        for name, kind in REQUEST_COLUMNS.items()
    }


def by_the_contract(trip: TripRequest) -> set[str]:
    """Return the rules a trip breaks, as history is held to them."""
    frame = pd.DataFrame(columns_of([trip])).astype(REQUEST_COLUMNS)
    rules = rules_in_force(SETTINGS.validation, at_pickup=True)
    return set(broken_rules(frame, trip_schema(rules, SETTINGS.validation)))


@given(trip=trips)
def test_the_same_rules_are_broken_as_in_a_frame(trip: TripRequest) -> None:
    assert {name for name, _ in RULES_OF_REQUESTS._broken(trip)} == by_the_contract(trip)


@given(requests=st.lists(trips, min_size=1, max_size=5))
def test_a_list_is_judged_as_its_trips(requests: list[TripRequest]) -> None:
    def judged(check: Any) -> Any:
        try:
            return check()
        except RequestError as error:
            return error.field, error.message

    def one_by_one() -> dict[int, tuple[str, ...]]:
        found = {
            place: RULES_OF_REQUESTS.check(request, AS_OF, f"trips.{place}.")
            for place, request in enumerate(requests)
        }
        return {place: flags for place, flags in found.items() if flags}

    columns = columns_of(requests)
    together = judged(lambda: RULES_OF_REQUESTS.check_columns(columns, AS_OF))
    assert together == judged(one_by_one)


def test_every_rule_on_requests_refuses_or_flags() -> None:
    names = {rule.name for rule in RULES if rule.at_pickup}
    assert names == set(RULES_OF_REQUESTS.refusing) | RULES_OF_REQUESTS.flagging


@pytest.mark.parametrize("days", [-367, 31])
def test_dates_that_nobody_can_predict_are_refused(days: int) -> None:
    rules = RequestRules.of(load_settings())
    base = AS_OF if days < 0 else datetime.now(NEW_YORK).replace(tzinfo=None)
    trip = TripRequest(pickup_at=base + timedelta(days=days), pickup_zone=1, dropoff_zone=2)
    with pytest.raises(RequestError, match="can be predicted") as caught:
        rules.check(trip, AS_OF)
    assert (caught.value.status, caught.value.field) == (422, "pickup_at")


def test_an_action_changed_in_the_settings_is_followed() -> None:
    changed = load_settings({"validation.actions": {"zone_unknown": "quarantine"}})
    trip = TripRequest(pickup_at=AS_OF, pickup_zone=264, dropoff_zone=2)
    assert "zone_unknown" in RULES_OF_REQUESTS.check(trip, AS_OF)
    with pytest.raises(RequestError, match="zone_unknown"):
        RequestRules.of(changed).check(trip, AS_OF)
