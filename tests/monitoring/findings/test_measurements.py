"""Effects: each value has one, each effect its value, and the direction is kept."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mlops.monitoring.findings.measurements import (
    ALL_ROWS,
    Measurement,
    MeasureName,
    Scale,
    effect,
    value_at,
)

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
    assert zone.pool == vendor.pool != zone._replace(kind="labels").pool
    assert len({m.key for m in (bronx, queens, zone, vendor)}) == 4


@pytest.mark.parametrize(
    ("scale", "value", "reference", "expected"),
    [
        ("squares", 0.027, 0.0, 0.3),
        ("squares", -1.0, 0.0, 0.0),
        ("distance", 8.0, 0.0, 4.0),
        ("distance", -1.0, 0.0, 0.0),
        ("share", 1.0, 0.0, math.pi),
        ("share", 0.5, 0.25, math.pi / 2 - math.pi / 3),
        ("share", 1.5, -0.5, math.pi),
        ("ratio", 3.0, 1.5, math.log(2)),
        ("ratio", 0.0, 1e-5, 0.0),  # both as good as nothing
        ("ratio", math.e * 1e-4, 0.0, 1.0),
        ("difference", 5.0, 2.0, 3.0),
    ],
)
def test_the_effect_is_what_the_scale_says(
    scale: Scale, value: float, reference: float, expected: float
) -> None:
    assert effect(scale, value, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scale", "of", "reference", "expected"),
    [
        ("squares", 0.3, 0.0, 0.027),
        ("distance", 4.0, 0.0, 8.0),
        ("distance", -1.0, 0.0, 0.0),
        ("share", 9.0, 0.25, 1.0),
        ("share", -9.0, 0.25, 0.0),
        ("share", math.pi / 6, 0.25, 0.5),
        ("ratio", math.log(2), 1.5, 3.0),
        ("ratio", 1.0, 0.0, math.e * 1e-4),
        ("difference", 3.0, 2.0, 5.0),
    ],
)
def test_a_limit_is_shown_as_the_value_with_its_effect(
    scale: Scale, of: float, reference: float, expected: float
) -> None:
    assert value_at(scale, of, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("all trips", ALL_ROWS),
        ("all trips: rmse", f"{ALL_ROWS}: rmse"),
        ("rule duration: share", "rule duration_out_of_range: share"),
        ("distance: over all trips", "distance: over all trips"),
    ],
)
def test_what_was_stored_under_a_former_name_is_read_under_its_own(stored: str, now: str) -> None:
    assert TypeAdapter(MeasureName).validate_python(stored) == now
