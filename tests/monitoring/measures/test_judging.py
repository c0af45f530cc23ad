"""A whole window: quiet ones stay quiet, every fault is found, and the report says it in words."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from demo.faults import FAULTS
from mlops.datasets.taxi.trips import DISTANCE, REQUEST_COLUMNS
from mlops.errors import DataQualityError
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.judging import judge, least_change, report_window
from mlops.monitoring.measures.quality import UNITS
from mlops.monitoring.measures.stability import measure_staleness
from mlops.monitoring.reference.nulls import Nulls, Spread

ROWS = 3_000


def test_windows_of_the_same_world_raise_no_alarm(world: Any) -> None:
    starts = range(0, len(world.live) - 1_000, 1_000)

    reports = [world.report(world.live.iloc[start : start + 1_000]) for start in starts]

    assert sum(bool(report.alarms) for report in reports) <= 1


@pytest.mark.parametrize("name", [name for name in FAULTS if "quarter" not in name])
def test_every_fault_is_found_in_its_first_window(world: Any, name: str) -> None:
    trips = world.live.iloc[: 2 * ROWS].reset_index(drop=True)

    report = world.report(FAULTS[name](trips).iloc[:ROWS])

    assert report.alarms, name


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("kilometres instead of miles", "quality", "kilometres"),
        ("vendor missing", "quality", "missing vendor_id"),
        ("frozen clock", "quality", "repeated instants"),
        ("zone closure", "drift", "pickup_zone"),
        ("doubled rush hour", "performance", ""),
    ],
)
def test_the_reason_names_the_fault(world: Any, name: str, kind: str, word: str) -> None:
    trips = world.live.iloc[: 2 * ROWS].reset_index(drop=True)

    report = world.report(FAULTS[name](trips).iloc[:ROWS])

    assert kind in report.violated
    assert any(word in reason for reason in report.reasons)


def test_a_fault_that_only_labels_show_is_not_seen_without_them(world: Any) -> None:
    trips = FAULTS["doubled rush hour"](world.live.iloc[:ROWS])

    report = world.report(trips[list(REQUEST_COLUMNS)])

    assert "performance" not in report.violated
    assert report.labelled == 0


def test_a_report_survives_storage_with_alarms_first(world: Any) -> None:
    report = world.report(FAULTS["vendor missing"](world.live.iloc[:ROWS]))

    assert WindowReport.model_validate_json(report.model_dump_json()) == report
    outcomes = [finding.outcome for finding in report.findings]
    assert outcomes[: len(report.alarms)] == ["alarm"] * len(report.alarms)
    assert report.summary().startswith("3,000 rows of 2024-02-01")
    assert report.worst("quality") == report.alarms[0] or report.worst("quality") in report.alarms


def test_an_empty_window_and_one_of_few_trips_are_judged_as_far_as_they_can_be(world: Any) -> None:
    for rows in (0, 1, 20):
        report = world.report(world.live.iloc[:rows])
        assert report.rows == rows
        assert not report.alarms


def test_a_window_of_nonsense_is_reported_not_refused(world: Any) -> None:
    # given trips without times, zones or finite distances
    trips = world.live.iloc[:500].reset_index(drop=True)
    trips.loc[:99, "pickup_at"] = None
    trips.loc[100:199, "pickup_zone"] = np.int32(999)
    trips.loc[200:299, DISTANCE] = np.inf

    report = world.report(trips)

    assert "quality" in report.violated
    assert report.refused >= 300


def test_limits_set_by_hand_are_those_of_the_settings(world: Any) -> None:
    days = world.settings.max_model_age_days
    old = Measurement("staleness", "model", "age", "difference", "high", 1, days + 1, 0.0, "days")
    young = old._replace(value=days - 1)

    found = [judge(m, world.profile, world.settings).outcome for m in (old, young)]

    assert found == ["alarm", "ok"]


def test_what_is_measured_elsewhere_is_judged_too(world: Any) -> None:
    more = list(measure_staleness(datetime(2020, 1, 1), datetime(2024, 1, 1)))

    report = world.report(world.live.iloc[:1_000], more=more)

    assert report.violated == {"staleness"}


def test_a_limit_may_come_with_the_measurement(world: Any) -> None:
    slow = Measurement(
        "serving", "v7", "p95", "difference", "high", 500, 12.0, 5.0, "ms", limit=10.0
    )

    found = judge(slow, world.profile, world.settings)

    assert (found.outcome, found.limit) == ("alarm", 10.0)


def test_what_is_certain_but_small_is_no_alarm(world: Any) -> None:
    # given a share that is far beyond chance but has hardly changed
    share = Measurement(
        *("quality", "rule zone_invalid", "share", "share", "high"), 10**9, 0.1003, 0.1
    )

    finding = judge(share, world.profile, world.settings)

    assert finding.limit is not None
    assert finding.limit >= 0.15
    assert finding.outcome == "ok"


def test_a_profile_without_limits_judges_nothing(world: Any) -> None:
    bare = world.profile.model_copy(update={"calibration": None})

    with pytest.raises(DataQualityError, match="version 7 has no limits"):
        report_window(world.window(world.live.iloc[:10]), bare, world.settings, name="w")


@pytest.mark.parametrize(
    ("side", "value", "outcome"),
    [
        *(("high", 10.0, "ok"), ("high", 10.01, "alarm"), ("high", -99.0, "ok")),
        *(("low", 10.0, "ok"), ("low", 9.99, "alarm"), ("low", 99.0, "ok")),
        *(("both", 10.0, "ok"), ("both", 10.01, "alarm"), ("both", -2.0, "ok")),
        ("both", -2.01, "alarm"),
    ],
)
def test_only_what_is_beyond_its_limit_is_an_alarm(
    world: Any, side: Any, value: float, outcome: str
) -> None:
    measured = Measurement("serving", "s", "x", "difference", side, 9, value, 4.0, limit=10.0)

    assert judge(measured, world.profile, world.settings).outcome == outcome


@pytest.mark.parametrize(
    ("kind", "statistic", "limit"),
    [
        ("skew", "share", "max_skew_share"),
        ("staleness", "age", "max_model_age_days"),
        ("stability", "progress", "min_clock_progress"),
        ("stability", "missing", 0.0),
        ("serving", "p95", None),
    ],
)
def test_the_limits_of_what_is_not_learned_are_set(
    world: Any, kind: Any, statistic: str, limit: Any
) -> None:
    measured = Measurement(kind, "s", statistic, "difference", "high", 9, 0.0, 0.0)
    wanted = getattr(world.settings, limit) if isinstance(limit, str) else limit

    found = judge(measured, world.profile, world.settings)

    assert found.limit == wanted
    assert (found.outcome == "unjudged") == (wanted is None)


@pytest.mark.parametrize(
    ("kind", "subject", "statistic", "scale", "least"),
    [
        ("drift", "s", "psi", "squares", 0.2),
        ("drift", "s", "js", "squares", 0.2 / (8 * math.log(2))),
        ("drift", "s", "ks", "distance", 0.07),
        ("drift", "s", "wasserstein", "distance", 0.3 * 5),
        ("performance", "all rows", "coverage", "difference", 0.06),
        ("performance", "all rows", "rmse", "ratio", 0.15 * 5),
        ("quality", UNITS, "median ratio", "ratio", 0.4 * 5),
        ("quality", "rule x", "share", "share", 0.5 * 2.0),  # half of what is usual
    ],
)
def test_how_much_a_change_must_be_to_matter(
    world: Any, kind: Any, subject: str, statistic: str, scale: Any, least: float
) -> None:
    settings = world.settings.model_copy(
        update={
            **{"min_psi": 0.2, "min_ks": 0.07, "min_wasserstein": 0.3, "min_error_change": 0.15},
            **{"min_coverage_change": 0.06, "min_units_change": 0.4, "min_share_change": 0.03},
            "min_share_growth": 0.5,
        }
    )
    measured = Measurement(kind, subject, statistic, scale, "high", 9, 3.0, 2.0, yardstick=5.0)

    assert least_change(measured, settings) == pytest.approx(least)
    rare = measured._replace(kind="quality", subject="r", scale="share", reference=0.01)
    assert least_change(rare, settings) == 0.03


def without(profile: Any, *kinds: str) -> Any:
    """Return a profile that knows no limits of some kinds, as a short test leaves it."""
    known = profile.calibration
    limits = {name: limit for name, limit in known.limits.items() if name not in kinds}
    return profile.model_copy(update={"calibration": known.model_copy(update={"limits": limits})})


@pytest.mark.parametrize(
    ("subject", "n", "interval", "outcome"),
    [
        ("all rows", 1_000, (4.5, 5.5), "alarm"),
        ("all rows", 1_000, (4.3, 5.7), "ok"),  # expected is 4.0: a tenth more may be chance
        ("all rows", 1_000, (3.0, 3.5), "ok"),
        ("all rows", 100, (4.5, 5.5), "alarm"),
        ("all rows", 99, (4.5, 5.5), "unjudged"),
        ("all rows", 1_000, None, "unjudged"),
        ("hour: night", 600, (6.1, 9.0), "alarm"),  # of a slice, half more
        ("hour: night", 600, (5.5, 9.0), "ok"),
        ("hour: night", 500, (6.1, 9.0), "alarm"),
        ("hour: night", 499, (6.1, 9.0), "unjudged"),
    ],
)
def test_without_a_learned_limit_the_whole_interval_of_the_rmse_must_be_worse(
    world: Any, subject: str, n: int, interval: tuple[float, float] | None, outcome: str
) -> None:
    value = sum(interval) / 2 if interval else 5.0
    measured = Measurement(
        *("performance", subject, "rmse", "ratio", "high", n, value, 4.0, "min"),
        interval=interval,
        yardstick=4.0,
    )

    finding = judge(measured, without(world.profile, "performance"), world.settings)

    assert finding.outcome == outcome
    assert (finding.limit is None) == (outcome == "unjudged")


def test_a_profile_without_limits_of_errors_and_labels_still_sees_what_matters(world: Any) -> None:
    # given a profile as a test of a week leaves it, and a quiet window and a slow one
    profile = without(world.profile, "performance", "labels")
    quiet = world.window(world.live.iloc[:ROWS])
    slow = world.window(FAULTS["doubled rush hour"](world.live.iloc[:ROWS]))

    # when both are watched
    calm, alarmed = (
        report_window(window, profile, world.settings, name="w") for window in (quiet, slow)
    )

    # then the slow one is told by its RMSE, and nothing is judged by limits that do not exist
    assert not calm.alarms
    assert "performance" in alarmed.violated
    assert {f.statistic for f in alarmed.alarms if f.kind == "performance"} == {"rmse"}
    for report in (calm, alarmed):
        assert all(f.outcome == "unjudged" for f in report.findings if f.kind == "labels")


@pytest.mark.parametrize(
    ("side", "value", "deviation", "limit"),
    [
        # three deviations of 2 % on a ratio of 5 minutes are less than the 10 % that matter
        ("high", 6.0, 0.02, 5.0 + 0.5),
        ("low", 4.0, 0.02, 5.0 - 0.5),
        ("both", 6.0, 0.02, 5.0 + 0.5),
        ("both", 4.0, 0.02, 5.0 - 0.5),
        # three of 10 % are more
        ("high", 6.0, 0.1, 5.0 * math.exp(0.3)),
        ("low", 4.0, 0.1, 5.0 * math.exp(-0.3)),
        ("both", 4.0, 0.1, 5.0 * math.exp(-0.3)),
    ],
)
def test_a_learned_limit_is_beyond_chance_and_beyond_what_matters(
    world: Any, side: Any, value: float, deviation: float, limit: float
) -> None:
    measured = Measurement(
        *("performance", "all rows", "rmse", "ratio", side, 500, value, 5.0, "min"), yardstick=5.0
    )
    spread = Spread(persistent=deviation**2, shrinking=0.0)
    nulls = Nulls(centres={}, spreads={measured.pool: spread}, widths={})
    known = world.profile.calibration.model_copy(
        update={"nulls": nulls, "limits": {"performance": 3.0}}
    )
    profile = world.profile.model_copy(update={"calibration": known})
    settings = world.settings.model_copy(update={"min_error_change": 0.1})

    finding = judge(measured, profile, settings)

    assert finding.limit == pytest.approx(limit)
    away = math.log(value / 5.0)
    worse = {"high": away, "low": -away, "both": abs(away)}[side]
    assert finding.score == pytest.approx(worse / deviation)
    assert finding.why.startswith(f"all rows: rmse is {value:g} min, usual is 5 min (limit ")
