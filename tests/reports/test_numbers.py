"""Every kind of number has one format."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from mlops.datasets.wording import DatasetWords
from mlops.reports import numbers

MINUTES = numbers.Amounts("min", rows="trips")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (MINUTES.full(2.614), "2.61 min"),
        (MINUTES.full(-0.5, signed=True), "−0.50 min"),
        (MINUTES.full(0.5, signed=True), "+0.50 min"),
        (MINUTES.full(-0.001, signed=True), "0.00 min"),
        (MINUTES.full(None), "not known"),
        (numbers.percent(0.7983), "79.8%"),
        (numbers.percent(0.0001), "<0.1%"),
        (numbers.percent(0), "0.0%"),
        (numbers.percent(-0.02, signed=True), "−2.0%"),
        (numbers.count(51_492), "51,492"),
        (MINUTES.span(-0.1, 0.25, signed=True), "−0.10 to +0.25"),
        (numbers.percent_span(0.791, 0.804), "79.1% to 80.4%"),
        (numbers.milliseconds(3.21), "3.2 ms"),
        (numbers.megabytes(1234.56), "1,234.6 MB"),
        (MINUTES.in_unit(0.0512, "%"), "5.1%"),
        (MINUTES.in_unit(3, "trips"), "3 trips"),
        (MINUTES.in_unit(0.2034, ""), "0.203"),
        (MINUTES.in_unit(2e-5, "bits"), "<0.001 bits"),
        (MINUTES.in_unit(0.0, ""), "0.000"),
        (MINUTES.in_unit(-1.284, "min", signed=True), "−1.28 min"),
        (MINUTES.in_unit(41.23, "days"), "41.2 days"),
        (MINUTES.in_unit(None, "days"), "not known"),
    ],
)
def test_formats(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize(
    ("error", "written"),
    [(52_319.0, "1,234,568 euros"), (0.02, "1,234,567.8100 euros"), (None, "1,234,567.81 euros")],
)
def test_amounts_have_the_decimals_that_their_errors_need(
    error: float | None, written: str
) -> None:
    words = DatasetWords(unit="euros", short="euros")

    assert numbers.Amounts.like(error, words).full(1_234_567.81) == written


def test_a_time_with_a_zone_is_told_in_utc() -> None:
    eastern = timezone(timedelta(hours=-5))

    assert numbers.moment(datetime(2024, 3, 1, 20, tzinfo=eastern)) == "2024-03-02 01:00 UTC"
    assert numbers.moment(datetime(2024, 3, 1, 20)) == "2024-03-01 20:00"
