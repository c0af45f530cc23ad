"""What is said of the group that is predicted worst."""

from __future__ import annotations

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.reports.disparity import briefly, in_words, largest_disparity, largest_of
from mlops.reports.groups import Estimate, GroupErrors
from mlops.reports.numbers import Amounts

WORDS, MINUTES = TaxiTrips().words, Amounts("min")


def estimate(value: float, around: float = 0.1) -> Estimate:
    return Estimate(value=value, low=value - around, high=value + around)


def group(
    name: str,
    mae: float,
    gap: float | None = 0.0,
    rows: int = 1_000,
    bias: float = 0.0,
    actual: float = 15.0,
) -> GroupErrors:
    return GroupErrors(
        dimension="pickup borough" if gap is not None else "",
        group=name,
        rows=rows,
        actual=actual,
        mae=estimate(mae),
        rmse=estimate(mae * 1.5),
        bias=estimate(bias),
        relative=estimate(mae / actual, 0.001),
        coverage=None,
        against_rest=None if gap is None else estimate(gap),
    )


ALL = group("all trips", 2.6, None)


def test_the_worst_against_all_others_is_named_with_its_interval() -> None:
    groups = [ALL, group("Manhattan", 2.2, -0.8), group("Bronx", 4.5, 1.9, bias=0.6)]

    found = largest_disparity(groups, "pickup borough", 200, WORDS)

    assert found is not None and found.worst.group == "Bronx" and found.sure
    said = in_words(found, ALL, WORDS, MINUTES)
    assert "Bronx is predicted worst: the mean absolute error is 4.50 min" in said
    assert "all other trips 2.60 min (difference +1.90, 95% interval +1.80 to +2.00 min)" in said
    assert "the length of the trips does not explain the difference" in said
    assert "predicted 0.60 min too long" in said


def test_longer_trips_are_an_explanation() -> None:
    groups = [ALL, group("Queens", 2.0, -1.0), group("Brooklyn", 4.0, 1.5, actual=30.0)]

    found = largest_disparity(groups, "pickup borough", 200, WORDS)

    assert found is not None
    assert "the length of the trips explains the difference" in in_words(found, ALL, WORDS, MINUTES)


def test_a_share_that_may_be_the_usual_one_is_not_held_against_a_group() -> None:
    groups = [ALL, group("Queens", 2.2, -0.8), group("Brooklyn", 4.3, 1.4, actual=24.7)]

    found = largest_disparity(groups, "pickup borough", 200, WORDS)

    assert found is not None
    assert "the length of the trips may explain the difference" in in_words(
        found, ALL, WORDS, MINUTES
    )


def test_what_may_be_chance_is_called_so() -> None:
    groups = [ALL, group("Queens", 2.6, -0.05), group("Brooklyn", 2.65, 0.05)]

    found = largest_disparity(groups, "pickup borough", 200, WORDS)

    assert found is not None and not found.sure
    assert "may be chance" in in_words(found, ALL, WORDS, MINUTES)


def test_few_trips_and_unknown_places_are_not_compared() -> None:
    groups = [
        ALL,
        group("Manhattan", 2.2, -0.8),
        group("Queens", 3.0, 0.4),
        group("Unknown", 9.0, 6.0),
        group("Staten Island", 14.0, 12.0, rows=1),
    ]

    found = largest_disparity(groups, "pickup borough", 200, WORDS)

    assert found is not None and found.worst.group == "Queens"
    assert largest_disparity(groups[:2], "pickup borough", 200, WORDS) is None


def test_the_largest_of_all_is_said_in_one_sentence() -> None:
    by_hour = group("night", 3.0, 0.4).model_copy(update={"dimension": "hour"})
    other = group("evening", 2.5, -0.1).model_copy(update={"dimension": "hour"})
    groups = [ALL, group("Manhattan", 2.2, -0.8), group("Bronx", 4.5, 1.9), by_hour, other]

    found = largest_of(groups, 200, WORDS)

    assert found is not None
    assert briefly(found, WORDS, MINUTES) == (
        "It is worst for trips with pickup borough Bronx: its mean absolute error is"
        " 4.50 min there, and 2.60 min for all others."
    )
    assert largest_of([ALL], 200, WORDS) is None
