"""Limits: learned spreads are the true ones, and quiet windows stay below with the chance asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlops.monitoring.findings.measurements import Measurement, Scale, Side
from mlops.monitoring.reference.nulls import (
    Centre,
    Nulls,
    Spread,
    fit_nulls,
    fit_spread,
    limit_of,
    sided,
)

SCALES: tuple[Scale, ...] = ("squares", "distance", "share", "ratio", "difference")


def measured(
    value: float, n: int = 5_000, scale: Scale = "squares", side: Side = "high"
) -> Measurement:
    reference = 0.0 if scale in ("squares", "distance") else 0.3
    return Measurement("drift", "zone", scale, scale, side, n, value, reference)


def test_a_spread_is_the_one_it_was_drawn_from() -> None:
    # given effects with a variance of 0.01 + 20 / n
    random = np.random.default_rng(0)
    rows = np.repeat([1_000, 2_000, 5_000, 20_000], 500)
    effects = random.normal(0, np.sqrt(0.01 + 20 / rows))

    # when it is fitted
    spread = fit_spread(rows.astype(float), effects, least=0.0)

    # then it is found, also in between
    for n in (1_000, 3_000, 20_000):
        assert spread.deviation(n) == pytest.approx(np.sqrt(0.01 + 20 / n), rel=0.1)


def test_many_sizes_at_once_are_what_each_is_alone() -> None:
    rows = np.array([100, 5_000, 123_456])
    centre, spread = Centre(level=1e-4, slope=2.5), Spread(persistent=0.01, shrinking=20.0)

    assert centre.effects(rows.astype(float)) == pytest.approx([centre.effect(n) for n in rows])
    assert spread.deviations(rows.astype(float)) == pytest.approx(
        [spread.deviation(n) for n in rows]
    )


def test_a_width_is_what_the_judged_measurements_say() -> None:
    # given two statistics of one pool, one of which varies twice as much
    random = np.random.default_rng(3)
    quiet = [
        [
            Measurement("performance", f"hour: {name}", "rmse", "ratio", "high", n, value, 4.0)
            for name, value in (
                ("night", 4.0 * np.exp(random.normal(0, 0.02))),
                ("rush", 4.0 * np.exp(random.normal(0, 0.04))),
            )
        ]
        for n in np.repeat([1_000, 5_000], 100).tolist()
    ]

    # when nulls are fitted
    nulls = fit_nulls(quiet)

    # then each width lies halfway between the pool's and the variance of its own, as judged
    pooled = nulls.model_copy(update={"widths": {}})
    for number, key in enumerate(("hour: night: rmse", "hour: rush: rmse")):
        scores = [(pooled.away(w[number]) / pooled.spread(w[number])) ** 2 for w in quiet]
        assert nulls.widths[key] == pytest.approx((1 + np.mean(scores)) / 2)
    assert nulls.widths["hour: rush: rmse"] > 1 > nulls.widths["hour: night: rmse"]


def test_shares_are_never_taken_to_vary_less_than_independent_trips() -> None:
    quiet = [[Measurement("quality", "r", "share", "share", "high", 1_000, 0.1, 0.1)]] * 20

    nulls = fit_nulls(quiet)

    assert nulls.spread(quiet[0][0]) >= np.sqrt(1 / 1_000 / 2)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("side", ["high", "low", "both"])
def test_the_limit_shown_is_where_the_score_is_the_limit(scale: Scale, side: Side) -> None:
    # given the null of a statistic, and a measurement on the side that matters
    random = np.random.default_rng(1)
    values = 0.3 + random.normal(0, 0.01, 200)
    nulls = fit_nulls([measured(v, scale=scale, side=side)] for v in values)
    odd = measured(0.2 if side == "low" else 0.4, scale=scale, side=side)

    # when the value at its own score is asked for
    if scale in ("squares", "distance") and side != "high":
        return  # a distance below the expected one is no change
    value = nulls.value_at(odd, nulls.score(odd))

    # then it is its own value
    assert value == pytest.approx(odd.value)


def test_the_largest_of_many_exceeds_the_limit_as_often_as_allowed() -> None:
    # given maxima of 40 normal scores in windows to learn from and in windows to come
    random = np.random.default_rng(2)
    learned = random.normal(size=(200, 40)).max(axis=1)
    to_come = random.normal(size=(20_000, 40)).max(axis=1)

    # when a limit is set for 2 %
    limit = limit_of(learned.tolist(), 0.02)

    # then about as many exceed it
    assert 0.005 < np.mean(to_come > limit) < 0.03


def test_too_few_rows_and_unknown_statistics_are_not_judged() -> None:
    nulls = fit_nulls([measured(0.1 + 0.01 * i)] for i in range(10))

    assert nulls.knows(measured(0.5))
    assert not nulls.knows(measured(0.5, n=20))
    assert not nulls.knows(measured(0.5, scale="distance"))
    assert nulls.worst([measured(0.5, n=20)]) is None


def test_sides() -> None:
    assert (sided("high", -2), sided("low", -2), sided("both", -2)) == (-2, 2, 2)


def test_the_limit_is_a_quantile_of_gumbels_distribution_but_none_below_that_of_the_maxima() -> (
    None
):
    maxima = [1.0, 2.0, 3.5, 4.0, 2.5]
    scale = np.std(maxima, ddof=1) * np.sqrt(6) / np.pi
    place = np.mean(maxima) - np.euler_gamma * scale

    assert limit_of(maxima, 0.1) == pytest.approx(stats.gumbel_r.ppf(0.9, place, scale))
    assert limit_of([0.0] * 8 + [100.0] * 2, 0.1) == 100


def weighted_line(n: Any, values: Any, weights: Any) -> Any:
    design = np.column_stack([np.ones_like(n), 1 / n]) * weights[:, None]
    return np.linalg.lstsq(design, values * weights, rcond=None)[0]


ROWS_OF_WINDOWS = np.array([100.0, 150.0, 1_000.0, 5_000.0, 6_000.0])


def test_windows_count_by_what_they_tell() -> None:
    # given effects of windows of different sizes
    n, effects = ROWS_OF_WINDOWS, np.array([0.5, -0.35, 0.2, -0.15, 0.12])
    a, b = weighted_line(n, effects**2, np.ones_like(n))
    a, b = weighted_line(n, effects**2, 1 / (a + b / n))

    # when their variance is fitted, then each is weighed by what was expected of its size
    spread = fit_spread(n, effects, least=0.0)
    assert (spread.persistent, spread.shrinking) == pytest.approx((a, b))
    assert fit_spread(n, effects, least=99.0).shrinking == 99

    # and so is each divergence
    values = np.array([0.02, 0.016, 0.004, 0.002, 0.0025])
    level, slope = weighted_line(n, values, n)
    level, slope = weighted_line(n, values, 1 / (level + slope / n))
    nulls = fit_nulls([[measured(v, int(rows))] for v, rows in zip(values, n, strict=True)])
    (centre,) = nulls.centres.values()
    assert centre.level / centre.slope == pytest.approx(level / slope)
    # so that quiet windows are as expected on average
    assert np.mean(np.cbrt(values) / centre.effects(n)) == pytest.approx(1)


@pytest.mark.parametrize(("widths", "score"), [({"zone: squares": 4.0}, 2.5), ({}, 5.0)])
def test_a_divergence_is_scored_relative_to_what_is_usual(
    widths: dict[str, float], score: float
) -> None:
    nulls = Nulls(
        centres={"zone: squares": Centre(level=0.0, slope=5.0)},
        spreads={"drift: squares": Spread(persistent=0.03, shrinking=50.0)},
        widths=widths,
    )
    # given twice the effect that is usual of so many rows: 0.2 instead of 0.1
    odd = measured(0.008)

    assert nulls.away(odd) == pytest.approx(1)
    assert nulls.score(odd) == pytest.approx(score)
    assert nulls.worst([measured(0.001), odd, measured(0.5, n=99)]) == pytest.approx(score)
    assert nulls.value_at(odd, score) == pytest.approx(0.008)


def test_a_hundred_rows_are_enough() -> None:
    nulls = fit_nulls([[measured(0.1, n=100)], [measured(0.1, n=99)]])

    assert nulls.centres.keys() == nulls.widths.keys() == {"zone: squares"}
    assert nulls.knows(measured(0.5, n=100)) and not nulls.knows(measured(0.5, n=99))
    assert not fit_nulls([[measured(0.1, n=99)]]).spreads
