"""Effects: each value has one, each effect its value, and the direction is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.measurements import Measurement, Scale, effect, value_at

SCALES: tuple[Scale, ...] = ("squares", "distance", "share", "ratio", "difference")


@given(st.sampled_from(SCALES), st.floats(0.01, 0.9))
def test_a_value_is_found_again_from_its_effect(scale: Scale, value: float) -> None:
    assert value_at(scale, effect(scale, value, 0.3), 0.3) == pytest.approx(value)


@given(st.sampled_from(SCALES), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_larger_value_has_no_smaller_effect(scale: Scale, one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert effect(scale, low, 0.3) <= effect(scale, high, 0.3)


def test_slices_of_a_dimension_vary_alike_and_features_by_their_distance() -> None:
    bronx = Measurement(
        "performance", "pickup borough: Bronx", "rmse", "ratio", "high", 500, 4.0, 4.0
    )
    queens = bronx._replace(subject="pickup borough: Queens")
    zone = Measurement("drift", "pickup_zone", "psi", "squares", "high", 500, 0.1, 0.0)
    vendor = zone._replace(subject="vendor_id")

    assert bronx.pool == queens.pool != bronx._replace(statistic="mae").pool
    assert zone.pool == vendor.pool != zone._replace(family="labels").pool
    assert len({m.key for m in (bronx, queens, zone, vendor)}) == 4
