"""Where a reference begins, what is in it, and what is said when it cannot be built."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.errors import RegistryError
from mlops.monitoring.findings.policy import Champion, Decision, WindowOutcome
from mlops.monitoring.findings.records import DecisionRecord, WindowRecord, last_change
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.building import (
    LEAST_HISTORY,
    _training_set,
    read_history,
    reference_end,
    reference_start,
)
from mlops.settings import Settings, ValidationSettings

WATCHING = TripWatching(ValidationSettings())
FIRST, END = datetime(2023, 12, 1), datetime(2024, 3, 1)
DAYS = 60


def manifest_of(*months: str, **more: Any) -> Any:
    return SimpleNamespace(extraction=SimpleNamespace(months=months), **more)


WINTER = manifest_of("2023-12", "2024-01", "2024-02")


@pytest.mark.parametrize(
    ("changed_at", "start", "said"),
    [
        (None, END - timedelta(days=DAYS), "usual length"),
        # older than the reference anyway
        (datetime(2023, 12, 5), END - timedelta(days=DAYS), "usual length"),
        (datetime(2024, 2, 1), datetime(2024, 2, 1), "since the change of 2024-02-01"),
        # too little is left of the new world
        (datetime(2024, 2, 20), END - LEAST_HISTORY, "too recent"),
        # none is: it was found in traffic that was not learned from
        (datetime(2024, 3, 5), END - timedelta(days=DAYS), "after the training set"),
    ],
)
def test_a_reference_begins_with_the_last_change(
    changed_at: datetime | None, start: datetime, said: str
) -> None:
    found, why = reference_start(WINTER, changed_at, DAYS)

    assert found == start
    assert said in why


@given(
    changed_at=st.none() | st.datetimes(datetime(2023, 6, 1), datetime(2024, 6, 1)),
    days=st.integers(30, 400),
)
def test_a_reference_lies_in_the_training_set_and_is_no_shorter_than_it_must(
    changed_at: datetime | None, days: int
) -> None:
    start, _ = reference_start(WINTER, changed_at, days)

    assert start >= FIRST
    assert LEAST_HISTORY <= reference_end(WINTER) - start <= timedelta(days=days)


def test_the_history_holds_what_was_set_aside_and_ends_with_the_last_month(
    tmp_path: Path, make_trips: Callable[..., pd.DataFrame]
) -> None:
    # given a snapshot of two months with bad trips beside it, one of them years off
    kept = {month: with_minutes(make_trips(month=month)) for month in ("2024-01", "2024-02")}
    bad = with_minutes(make_trips(rows=20, month="2024-02", seed=1)).assign(reasons="meter")
    bad.loc[bad.index[0], PICKUP_AT] = pd.Timestamp("2098-01-01")
    parts = []
    (tmp_path / "quarantine").mkdir()
    for month, trips in kept.items():
        parts.append(SimpleNamespace(uri=str(tmp_path / f"{month}.parquet")))
        trips.to_parquet(parts[-1].uri, index=False)
    bad.to_parquet(tmp_path / "quarantine" / "2024-02.parquet", index=False)
    quality = SimpleNamespace(quarantine_uri=str(tmp_path / "quarantine"))
    manifest = manifest_of(*kept, parts=parts, quality=quality)

    # when the history since mid January is read
    start = datetime(2024, 1, 15)
    window = read_history(manifest, start, known_routes(), WATCHING)

    # then it holds every trip of that time, in order, predicted
    everything = pd.concat([*kept.values(), bad])[[*WATCHING.asked, *WATCHING.labels]]
    inside = everything[PICKUP_AT].between(start, datetime(2024, 3, 1), inclusive="left")
    expected = everything[inside].sort_values(PICKUP_AT, kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(window.frame, expected)
    assert window.predictions is not None
    assert (window.predictions["prediction_minutes"] == 10).all()
    assert len(window) == inside.sum() < len(everything)


def test_without_a_quarantine_the_kept_trips_are_the_history(
    tmp_path: Path, make_trips: Callable[..., pd.DataFrame]
) -> None:
    path = tmp_path / "2024-01.parquet"
    with_minutes(make_trips()).to_parquet(path, index=False)
    manifest = manifest_of(
        "2024-01",
        parts=[SimpleNamespace(uri=str(path))],
        quality=SimpleNamespace(quarantine_uri=None),
    )

    window = read_history(manifest, datetime(2024, 1, 1), known_routes(), WATCHING)

    assert len(window) == 200


def with_minutes(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.assign(**{TARGET: (trips["dropoff_at"] - trips[PICKUP_AT]) / timedelta(minutes=1)})


def known_routes() -> Any:
    """Return a model that says ten minutes, and knows ten minutes and two miles of every route."""

    def predict(requests: pd.DataFrame) -> pd.DataFrame:
        columns = ["prediction_minutes", "lower_minutes", "upper_minutes"]
        return pd.DataFrame(np.tile([10.0, 8.0, 12.0], (len(requests), 1)), columns=columns)

    def lookup(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"route_miles": 2.0, "route_minutes": 10.0}, index=frame.index)

    statistics: Any = SimpleNamespace(lookup=lookup)
    return SimpleNamespace(predict=predict, encoder=FeatureEncoder(statistics))


NOW = datetime(2024, 3, 9, tzinfo=timezone.utc)


def watched(name: str, start: datetime | None) -> WindowRecord:
    report = WindowReport(
        window=name,
        version="1",
        start=start,
        end=start,
        created_at=NOW,
        rows=0,
        refused=0,
        labelled=0,
        findings=(),
    )
    return WindowRecord(
        window=name,
        origin="source",
        version=1,
        start=NOW,
        end=NOW,
        trips=0,
        labelled=0,
        report=report,
    )


def decided(step: Any, *windows: tuple[str, set[Any]]) -> DecisionRecord:
    outcomes = tuple(
        WindowOutcome(window=name, version="1", end=NOW, violated=frozenset(kinds))
        for name, kinds in windows
    )
    decision = Decision(
        step=step,
        at=NOW,
        reasons=(),
        champion=Champion(version="1", promoted_at=NOW),
        windows=outcomes,
    )
    return DecisionRecord(decision=decision)


A, B, C = (datetime(2024, 2, day) for day in (1, 8, 15))
WINDOWS = [watched("a", A), watched("b", B), watched("c", C), watched("empty", None)]


@pytest.mark.parametrize(
    ("decisions", "changed_at"),
    [
        ([], None),
        ([decided("warn", ("a", {"drift"}))], None),
        ([decided("retrain", ("a", {"performance"}))], None),
        # the first window that shows it, not the first that was looked at
        ([decided("retrain", ("a", {"quality"}), ("b", {"drift"}), ("c", {"labels"}))], B),
        # the last change counts
        ([decided("retrain", ("a", {"drift"})), decided("retrain", ("c", {"labels"}))], C),
        # a retraining for another reason does not undo it
        ([decided("retrain", ("a", {"drift"})), decided("retrain", ("c", {"staleness"}))], A),
        # windows that are gone or had no trips tell no time
        ([decided("retrain", ("gone", {"drift"}), ("empty", {"drift"}))], None),
    ],
)
def test_the_last_change_is_where_monitoring_first_saw_what_it_had_retrained(
    decisions: list[DecisionRecord], changed_at: datetime | None
) -> None:
    assert last_change(decisions, WINDOWS) == changed_at


@pytest.mark.parametrize(
    ("receipt", "message"),
    [
        (None, "version 3 has no receipt"),
        (SimpleNamespace(data_hash="ab" * 32), f"training set of version 3, {'ab' * 6}, is not in"),
    ],
)
def test_a_training_set_that_is_not_there_is_named_with_its_version(
    tmp_path: Path, receipt: Any, message: str
) -> None:
    info: Any = SimpleNamespace(version=3, receipt=receipt)

    with pytest.raises(RegistryError, match=message):
        _training_set(info, Settings(home=tmp_path))
