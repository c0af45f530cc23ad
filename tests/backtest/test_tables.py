"""A replay of a declared table: what was asked, what became of it, and who learned from it when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.backtest.history import History, content_sha256
from mlops.backtest.recording import record
from mlops.backtest.replay import Replay
from mlops.backtest.store import Store
from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.admission import check_backtest
from mlops.settings import Settings, load_settings
from tests.backtest.conftest import ScriptedWatcher
from tests.datasets.declared.deliveries import DELIVERIES
from tests.datasets.declared.preparing.conftest import rows_of_days

MONTHS = ("2024-03", "2024-04", "2024-05")
APRIL, END = datetime(2024, 4, 1), datetime(2024, 6, 1)
SMALL = {
    "backtest.initial_months": 1,
    "backtest.families": "global_mean,linear_regression",
    "backtest.max_evals": 1,
    "training.threads": 1,
    "gate.max_latency_ms": 60_000,
    "gate.bootstrap_samples": 100,
    "evaluation.latency_samples": 1,
    "validation.min_rows": 1,
    "validation.max_bad_share": 1.0,
    "validation.min_days_covered": 0.0,
}


@pytest.fixture
def rows() -> pd.DataFrame:
    rows = rows_of_days(97)
    rows["weight"] = 1.0 + rows.index % 9
    rows["minutes"] = 20.0 + 3 * rows["weight"]
    inside = rows["ordered_at"].dt.strftime("%Y-%m").isin(MONTHS)
    return rows[inside].reset_index(drop=True)


@pytest.fixture
def configured(tmp_path: Path, rows: pd.DataFrame, declare: Callable[[str], Path]) -> Settings:
    """A definition, and a file for each month."""
    declare(DELIVERIES)
    for month, own in rows.groupby(rows["ordered_at"].dt.strftime("%Y-%m")):
        own.to_csv(tmp_path / f"deliveries_{month}.csv", index=False)
    location = str(tmp_path / "deliveries_{month}.csv")
    given = {"home": str(tmp_path / "home"), "dataset": "deliveries", "location": location}
    return load_settings({**given, **SMALL, "source.months": ",".join(MONTHS)})


def replay_of(history: History, settings: Settings, folder: Path) -> Replay:
    return Replay(history, MONTHS, settings, Store(folder), ScriptedWatcher())


def test_bad_requests_are_not_answered_and_bad_outcomes_not_learned_from(
    configured: Settings, rows: pd.DataFrame, tmp_path: Path
) -> None:
    # Given a delivery of impossible weight, and one whose minutes nobody knows
    rows.loc[3, "weight"], rows.loc[5, "minutes"] = 60.0, None
    march = rows[rows["ordered_at"] < APRIL]
    march.to_csv(tmp_path / "deliveries_2024-03.csv", index=False)

    clock = record(configured, MONTHS).clock(END)

    requests = clock.requests(datetime(2024, 3, 1), APRIL)
    assert set(march["order"]) - set(requests["order"]) == {march.loc[3, "order"]}
    assert not {"minutes", "delivered_at", "depot"} & {*requests}
    known = set(clock.finished()["order"])
    assert set(march["order"]) - known == {march.loc[3, "order"], march.loc[5, "order"]}


def test_labels_arrive_no_earlier_than_the_definition_says(configured: Settings) -> None:
    at_once = configured.backtest.model_copy(update={"label_delay_hours": 0})
    history = record(configured.model_copy(update={"backtest": at_once}), MONTHS)
    # A delivery takes three hours, and its outcome reaches the files six hours later
    known = history.clock(APRIL).finished()
    assert known["ordered_at"].max() == APRIL - timedelta(hours=10)
    settled = history.settled(datetime(2024, 3, 1), APRIL)
    assert settled.now == APRIL - timedelta(hours=2) + timedelta(hours=9)


def test_files_of_any_time_give_the_same_history(
    configured: Settings, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "all.csv", index=False)
    source = configured.source.model_copy(update={"location": str(tmp_path / "all.csv")})
    whole = configured.model_copy(update={"source": source})

    first, second = (record(each, MONTHS).clock(END).finished() for each in (configured, whole))

    assert content_sha256(first) == content_sha256(second)
    with pytest.raises(ConfigurationError, match="no rows of 2024-06"):
        record(whole, (*MONTHS, "2024-06"))


def test_models_follow_each_other_and_never_see_the_future(
    configured: Settings, rows: pd.DataFrame, tmp_path: Path
) -> None:
    replay = replay_of(record(configured, MONTHS), configured, tmp_path / "store")
    steps = replay.run(["never", "monthly"])

    assert [(step.policy, step.month) for step in steps] == [
        (policy, month) for policy in ("never", "monthly") for month in MONTHS[1:]
    ]
    for step in steps:
        assert step.requests == step.live.rows > 300
        assert step.live.rmse < 1  # minutes follow from the weight
        month_begins = datetime.fromisoformat(f"{step.month}-01")
        assert step.learned_until < step.champion_at <= month_begins
    # And with another future, everything until then is decided alike
    late = rows["ordered_at"] >= datetime(2024, 5, 1)
    changed = rows.assign(minutes=rows["minutes"].where(~late, 400.0))
    changed[late].to_csv(tmp_path / "deliveries_2024-05.csv", index=False)
    other = replay_of(record(configured, MONTHS), configured, tmp_path / "other")
    alike: Any = {"exclude": {"training_seconds"}}
    for mine, theirs in zip(steps, other.run(["never", "monthly"]), strict=True):
        if mine.month == "2024-04":
            assert mine.model_dump(**alike) == theirs.model_dump(**alike)
        else:
            assert theirs.live.rmse > 100


def test_a_table_without_order_in_time_cannot_be_replayed(
    configured: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "datasets" / "deliveries" / "dataset.yaml"
    at_random = DELIVERIES.replace("{validation: 2d", "{by: random, validation: 0.1").replace(
        "test: 2d", "test: 0.2"
    )
    start = at_random.index("histories:")
    file.write_text(at_random[:start] + at_random[at_random.index("split:") :])
    with pytest.raises(ConfigurationError, match="split by: random"):
        check_backtest(configured)
