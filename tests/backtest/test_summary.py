"""Totals, ages, tables and the chart: right numbers, whole files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.backtest.aging import aging_of
from mlops.backtest.chart import draw
from mlops.backtest.results import (
    BacktestResult,
    Live,
    ReplayStep,
    Signal,
    Signals,
    latest_result,
)
from mlops.backtest.scoring import live_performance
from mlops.backtest.summary import (
    excess_by_age,
    staleness_of,
    step_rows,
    totals_of,
    write_result,
)

QUIET = Signal(alarm=False, windows=(False, True), reason="quiet")


def step(
    policy: str, month: str, rmse: float, age: int, rows: int = 100, **more: Any
) -> ReplayStep:
    return ReplayStep(
        policy=policy,
        month=month,
        champion="c",
        champion_at=datetime(2023, 11, 1),
        learned_until=datetime(2023, 10, 25),
        age_months=age,
        requests=rows + 5,
        live=Live(rows=rows, rmse=rmse, mae=rmse / 2, bias=0.1, coverage=0.8),
        signals=Signals(drift=QUIET, performance=QUIET),
        retrain=bool(more),
        reason="",
        **more,
    )


STEPS = (
    step("never", "2023-11", 3.0, 0),
    step("never", "2023-12", 5.0, 1),
    step("monthly", "2023-11", 3.0, 0, challenger="d", training_seconds=7.0, promoted=True),
    step("monthly", "2023-12", 4.0, 0, rows=300, challenger="e", training_seconds=8.0),
)


def test_totals_sum_up_each_policy() -> None:
    never, monthly = totals_of(STEPS)

    assert (never.policy, never.mean_live_rmse, never.worst_live_rmse) == ("never", 4.0, 5.0)
    assert (never.retrainings, never.promotions, never.training_seconds) == (0, 0, 0.0)
    assert (monthly.mean_live_rmse, monthly.retrainings, monthly.promotions) == (3.5, 2, 1)
    assert (monthly.training_seconds, monthly.mean_age_months) == (15.0, 0.0)


def test_ages_are_pooled_over_trips() -> None:
    curve = {(aged.policy, aged.age_months): aged for aged in staleness_of(STEPS)}

    assert curve["never", 1].rmse == 5.0
    pooled = curve["monthly", 0]
    assert pooled.rmse == pytest.approx(np.sqrt((100 * 9 + 300 * 16) / 400))
    assert (pooled.months, pooled.trips) == (2, 400)


def test_live_performance_counts_answered_trips_only() -> None:
    predictions = pd.DataFrame(
        {
            "prediction_minutes": [5.0, 6.0],
            "lower_minutes": [4.0, 1.0],
            "upper_minutes": [7.0, 7.0],
        },
        index=[1, 2],
    )
    ended = pd.DataFrame({"duration_minutes": [8.0, 6.0, 9.0]}, index=[1, 2, 3])

    live = live_performance(predictions, ended, "duration_minutes")

    assert (live.rows, live.mae, live.bias, live.coverage) == (2, 1.5, -1.5, 0.5)
    assert live.rmse == pytest.approx(np.sqrt(4.5))


def test_aging_compares_every_model_with_the_newest_of_the_month(monthly: Any) -> None:
    replay, steps = monthly

    aging = aging_of(replay, steps)

    months = replay.months[1:]
    trained = 1 + sum(s.challenger is not None for s in steps)
    # The n-th month was seen by n models: a triangle.
    assert len(aging) == sum(range(1, trained + 1)) == sum(range(1, len(months) + 1))
    for entry in aging:
        assert entry.trained_at <= datetime.fromisoformat(f"{entry.month}-01")
        if entry.age_months == 0:
            assert entry.excess == 0
    lived = {(s.champion, s.month): s.live.rmse for s in steps}
    again = {(entry.model, entry.month): entry.rmse for entry in aging}
    assert lived.items() <= again.items()
    assert excess_by_age(aging)[0] == 0


@pytest.fixture(scope="module")
def result(monthly: Any) -> BacktestResult:
    replay, steps = monthly
    return BacktestResult(
        months=replay.months[1:],
        learned_before=replay.months[:1],
        source="green trips, sample",
        synthetic=True,
        steps=tuple(steps),
        totals=totals_of(steps),
        staleness=staleness_of(steps),
        aging=aging_of(replay, steps),
    )


def test_the_chart_names_policies_units_and_that_trips_are_synthetic(
    result: BacktestResult,
) -> None:
    drawn = draw(result)

    picture = ElementTree.fromstring(drawn["chart.svg"])
    text = " ".join("".join(element.itertext()) for element in picture.iter())
    for word in ("never", "monthly", "minutes", "seconds", "%", "synthetic", "2023-12"):
        assert word in text
    assert drawn["chart.png"].startswith(b"\x89PNG")
    assert b"http://" not in drawn["chart.svg"].replace(b"http://www.w3.org", b"")


def test_what_is_written_is_read_again(result: BacktestResult, tmp_path: Path) -> None:
    assert latest_result(tmp_path) is None

    write_result(result, tmp_path / "a", draw(result))
    write_result(result, tmp_path / "b", {})

    assert latest_result(tmp_path) == result
    assert (tmp_path / "current").read_text() == "b"
    steps = pd.read_parquet(tmp_path / "a" / "steps.parquet")
    assert steps.to_dict("records") == step_rows(result.steps)
    for table in ("totals", "staleness", "aging"):
        assert len(pd.read_parquet(tmp_path / "a" / f"{table}.parquet")) == len(
            getattr(result, table)
        )


def test_windows_are_shown_in_order_of_time(make_replay: Callable[..., Any]) -> None:
    rows = step_rows(STEPS)

    assert rows[0]["drift"] == "·x"
    assert [row["retrained"] for row in rows] == ["no", "no", "promoted", "refused"]
