"""The tables of Overview and Data, made from a home that has a past, and from one that has none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import QualityReport
from mlops.datasets.taxi.watched.watching import FEATURES
from mlops.observability import data_tables, overview_tables, serving_tables, training_tables
from mlops.observability.data_tables import _even_edges, _rebinned
from mlops.observability.overview_tables import champion
from mlops.observability.tables import TABLES
from mlops.observability.world import RUN_COLUMNS, ObservedWorld, frame_of
from mlops.orchestration.runs.lock import HomeLock
from mlops.registry import searches
from mlops.registry.searches import FinishedSearch
from mlops.settings import Settings, load_settings

OURS = {**overview_tables.TABLES, **data_tables.TABLES}
NOW = datetime(2024, 3, 10, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def tables(lived_in: Settings) -> Mapping[str, pd.DataFrame]:
    world = ObservedWorld(lived_in, NOW)
    return {name: table.of(world) for name, table in OURS.items()}


def test_no_two_dashboards_call_a_table_the_same() -> None:
    modules = (overview_tables, data_tables, training_tables, serving_tables)
    assert len(TABLES) == sum(len(module.TABLES) for module in modules)


@pytest.mark.parametrize("name", OURS)
def test_before_there_is_anything_every_table_is_empty_and_has_its_columns(
    name: str, tmp_path: Path
) -> None:
    found = OURS[name].of(ObservedWorld(load_settings({"home": tmp_path}), NOW))

    assert found.empty
    assert list(found.columns) == list(OURS[name].columns)
    assert not (tmp_path / "mlflow").exists()  # looking leaves no trace


def test_the_champion_is_told_with_what_it_does_now(tables: Mapping[str, pd.DataFrame]) -> None:
    row = tables["champion"].iloc[0]

    assert (row["version"], row["family"], row["synthetic"]) == (1, "squared_error", True)
    assert row["promoted_by"] == "a test" and row["reason"] == "for the playground"
    assert row[["live_rmse", "live_low", "live_high"]].tolist() == pytest.approx([6.1, 5.9, 6.3])
    assert row["live_trips"] == 4_900
    assert row["state"] == "retrain" and "2 of the last 3 windows" in row["state_reason"]
    assert row["rmse"] > 0 and row["learned_until"] == pd.Timestamp("2024-01-01", tz="UTC")


def test_the_champions_row_tells_that_the_server_runs_old_code(lived_in: Settings) -> None:
    assert champion(ObservedWorld(lived_in))["server"].tolist() == [""]
    lock = HomeLock(lived_in.home / "server" / "changed_code.lock", "restart it")
    lock.acquire()
    try:
        assert champion(ObservedWorld(lived_in))["server"].tolist() == ["restart it"]
    finally:
        lock.release()


def test_live_errors_follow_the_windows(tables: Mapping[str, pd.DataFrame]) -> None:
    live = tables["live_rmse"]

    assert live["rmse"].tolist() == [4.9] * 6 + [6.1] * 2
    assert live["outcome"].tolist() == ["ok"] * 6 + ["alarm"] * 2
    assert live["end"].is_monotonic_increasing and (live["limit"] == 5.4).all()


def test_drift_has_every_feature_in_the_same_order_in_every_window(
    tables: Mapping[str, pd.DataFrame],
) -> None:
    drift = tables["drift"]

    for _, own in drift.groupby("window"):
        assert own["feature"].tolist() == [feature.name for feature in FEATURES]
    late = drift[drift["outcome"] == "alarm"]
    assert late["window"].nunique() == 2
    assert late["ratio"].unique() == pytest.approx([3.5])


def test_the_worst_statistic_of_a_feature_stands_for_it(lived_in: Settings) -> None:
    window = ObservedWorld(lived_in, NOW).windows[0]
    psi = next(f for f in window.report.findings if f.subject == "trip_distance")
    worse = psi.model_copy(update={"statistic": "ks", "value": 0.09, "outcome": "ok"})
    unjudged = psi.model_copy(update={"statistic": "js", "limit": None, "outcome": "unjudged"})
    report = window.report.model_copy(update={"findings": (unjudged, psi, worse)})
    changed = window.model_copy(update={"report": report})

    row = OURS["drift"].of(ObservedWorld(lived_in, NOW, windows=(changed,))).iloc[0]

    assert (row["statistic"], row["outcome"]) == ("ks", "ok")
    assert row["ratio"] == pytest.approx(0.9)


def test_candidates_and_gate_are_those_of_the_last_selection(
    tables: Mapping[str, pd.DataFrame],
) -> None:
    candidates, gate = tables["candidates"], tables["gate"]

    assert candidates["family"].tolist() == ["squared_error", "lasso", "quantiles"]
    assert candidates["role"].tolist() == ["winner", "", "failed"]
    assert candidates["rmse"].notna().tolist() == [True, True, False]
    assert gate[["rule", "outcome", "winner"]].values.tolist() == [
        ["champion", "passed", "squared_error"]
    ]


def test_decisions_say_what_followed(tables: Mapping[str, pd.DataFrame]) -> None:
    decisions = tables["decisions"]

    assert decisions["step"].tolist() == ["retrain", "warn"] + ["ok"] * 6  # newest first
    assert decisions["followed"].tolist()[:2] == ["started retraining, run 12", "`mlops retrain`"]


def test_deployments_say_how_they_ended(tables: Mapping[str, pd.DataFrame]) -> None:
    row = tables["deployments"].iloc[0]

    assert (row["state"], row["by"], row["previous"]) == ("refused", "ana", "")
    assert "9.4 ms" in row["summary"]


def test_searches_of_one_training_stand_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(minutes: float, family: str, rmse: float, data: str = "a") -> FinishedSearch:
        at = NOW + timedelta(minutes=minutes)
        more = {"mae": 3.0, "run_id": "r", "pipeline": "", "pipeline_run": ""}
        return FinishedSearch(
            at=at, family=family, rmse=rmse, data_hash=data, trials=2, seconds=1, **more
        )

    found = (
        search(0, "lasso", 5.0),
        search(2, "quantiles", 4.0),
        search(3, "lasso", 4.9),  # searched again: it counts
        search(4, "lasso", 4.8, "b"),  # on other data
        search(200, "lasso", 4.7),  # on the first again, hours later
    )
    settings = load_settings({"home": tmp_path})

    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").touch()
    monkeypatch.setattr(searches, "finished_searches", lambda settings: found)
    table = OURS["searches"].of(ObservedWorld(settings, NOW))

    after = (table["training"] - NOW).dt.total_seconds() / 60
    assert list(zip(after, table["family"], table["rmse"], strict=True)) == [
        (0, "quantiles", 4.0),
        (0, "lasso", 4.9),
        (4, "lasso", 4.8),
        (200, "lasso", 4.7),
    ]


def test_runs_are_counted_by_day_pipeline_and_state(tmp_path: Path) -> None:
    days_ago = [0, 0, 0, 1, 40]
    rows = [
        {
            "run": number,
            "pipeline": "monitoring" if number else "retraining",
            "status": "failed" if number == 2 else "completed",
            "created_at": NOW - timedelta(days=days),
        }
        for number, days in enumerate(days_ago)
    ]
    settings = load_settings({"home": tmp_path})

    table = OURS["runs"].of(ObservedWorld(settings, NOW, runs=frame_of(rows, RUN_COLUMNS)))

    assert table[["pipeline", "status", "runs"]].values.tolist() == [
        ["monitoring", "completed", 1],
        ["monitoring", "completed", 1],
        ["monitoring", "failed", 1],
        ["retraining", "completed", 1],
    ]
    assert (table["day"] >= NOW - timedelta(days=13)).all()


def test_volume_and_rules_add_up_to_the_manifest(
    tables: Mapping[str, pd.DataFrame], lived_in: Settings
) -> None:
    manifest = ObservedWorld(lived_in).training_set
    assert manifest is not None
    quality: QualityReport = manifest.quality
    volume, rules = tables["volume"], tables["rules"]

    assert volume["month"].tolist() == ["2024-01", "2024-02"] and volume["synthetic"].all()
    assert volume["read"].sum() == quality.rows_read
    assert volume["kept"].sum() == quality.rows_kept == manifest.rows
    assert volume["quarantined"].sum() == quality.rows_quarantined
    assert rules["rows"].is_monotonic_decreasing
    assert len(rules) == len(quality.rules) and rules["share"].max() < 0.2


def test_every_trip_is_counted_in_its_window(
    tables: Mapping[str, pd.DataFrame], lived_in: Settings
) -> None:
    manifest = ObservedWorld(lived_in).training_set
    assert manifest is not None
    by_window = tables["hours"].groupby("window")["rows"].sum()

    for name, window in manifest.windows.items():
        assert by_window[name] == pytest.approx(window.rows, abs=2)  # hours, not microseconds


def test_missing_values_are_shares_by_month(tables: Mapping[str, pd.DataFrame]) -> None:
    missing = tables["missing"]

    assert set(missing["month"]) == {"2024-01", "2024-02"}
    assert missing["share"].between(0, 1).all()
    assert missing.groupby("column")["share"].max()["passenger_count"] > 0


def test_profiles_compare_the_newest_trips_with_the_reference(
    tables: Mapping[str, pd.DataFrame],
) -> None:
    profiles = tables["profiles"]

    shares = profiles.groupby("feature")[["reference", "now"]].sum()
    assert {"pickup_zone", "trip_distance", "duration_minutes"} <= set(shares.index)
    known = shares.drop("trip_distance")  # of which some are missing, and not drawn
    assert known.to_numpy() == pytest.approx(np.ones(known.shape))
    assert profiles["now_is"].iloc[0].endswith("2024-02-23 to 2024-03-01, the newest learned from")


@pytest.mark.parametrize("points", [[0.0, 1.0, 2.0, 10.0], [-3.0, 4.0], [5.0]])
def test_bins_drawn_hold_what_the_own_bins_hold(points: list[float]) -> None:
    shares = np.full(len(points) + 2, 1 / (len(points) + 2))  # the last one is "missing"

    edges = _even_edges(np.array(points))
    found = _rebinned(shares, np.array(points), edges)

    assert len(found) == max(len(edges) - 1, 0)
    if len(points) > 1:
        assert found.sum() == pytest.approx(1 - shares[-1])
        assert (found >= 0).all() and found[-1] == pytest.approx(shares[-2])
        assert np.diff(edges) == pytest.approx(np.diff(edges)[0])
