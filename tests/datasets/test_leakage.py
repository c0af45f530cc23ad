"""Planted columns that know the future are found; honest ones, also strong ones, are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.checking.leakage import KnownAfterwards, power_alone, suspicion
from mlops.datasets.checking.planting import missed

N = 4_000


def table(seed: int = 0, rows: int = N) -> tuple[pd.DataFrame, KnownAfterwards]:
    """Trips with a fare that nobody knows in advance; the target is a length of time."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.integers(0, 60 * 24 * 60, rows))
    event = np.datetime64("2024-01-01", "us") + minutes * np.timedelta64(1, "m")
    distance = rng.lognormal(1, 0.7, rows)
    city = rng.choice(["rome", "oslo", "lima", "cairo", "paris"], rows, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    slow = pd.Series(city).map({"rome": 9, "oslo": 2, "lima": 5, "cairo": 12, "paris": 1})
    target = np.round(3 * distance + slow.to_numpy() + rng.gamma(2, 3, rows), 2)
    outcome = event + (target * 60e6).astype("timedelta64[us]")
    frame = pd.DataFrame({"event": event, "distance": distance, "city": city, "outcome": outcome})
    return frame, KnownAfterwards(target, event, outcome)


FRAME, KNOWN = table()
TARGET = pd.Series(KNOWN.target)
NOISE = np.random.default_rng(1).normal(0, 1, N)
OUTCOME = pd.Series(KNOWN.outcome)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("power", TARGET + 0.08 * TARGET.std() * NOISE),
        ("power", -np.exp(-TARGET / 50)),
        ("power", TARGET.rank()),
        ("power", (TARGET - TARGET.mean()).abs()),
        ("target", pd.cut(TARGET, [-np.inf, 8, 15, np.inf], labels=False)),
        ("target", np.where(TARGET > 60, "late", "on time")),
        ("target", pd.qcut(TARGET, 20).astype(str)),
        ("target", np.where(TARGET > 15, 1.0, np.nan)),  # missing says it, too
        ("outcome", OUTCOME),
        ("outcome", OUTCOME + pd.Timedelta(minutes=7)),
        ("outcome", OUTCOME.dt.hour),
        ("outcome", OUTCOME.dt.hour.astype(str)),
        ("outcome", OUTCOME.dt.hour * 60 + OUTCOME.dt.minute),
        ("outcome", OUTCOME.dt.strftime("%Y-%m-%d")),
        ("outcome", OUTCOME.dt.floor("min").astype("int64") / 6e10),
        ("aggregate", TARGET.groupby(FRAME.city).transform("mean")),
        ("aggregate", TARGET.groupby(FRAME.city).transform("median")),
        ("aggregate", TARGET.groupby(FRAME.city).transform("max")),
        ("aggregate", TARGET.groupby([FRAME.city, FRAME.event.dt.date]).transform("mean")),
    ],
)
def test_a_planted_column_is_found(kind: str, values: Any) -> None:
    found = suspicion(np.asarray(values), KNOWN)

    assert found is not None
    # the same column may be suspect for two reasons, the strongest of which is given
    assert found.kind == kind or {found.kind, kind} <= {"power", "target", "outcome"}
    assert found.certain


@pytest.mark.parametrize(
    "values",
    [
        FRAME.distance,
        FRAME.distance.round(),
        FRAME.city,
        FRAME.event,
        FRAME.event.dt.hour,
        FRAME.event.dt.hour.astype(str),
        FRAME.event.dt.strftime("%Y-%m-%d"),
        FRAME.event.dt.weekday,
        FRAME.event - pd.Timedelta(minutes=5),
        FRAME.event - pd.to_timedelta(FRAME.distance * 60, unit="min"),
        np.arange(N),
        np.random.default_rng(2).integers(0, 900, N).astype(str),
        np.random.default_rng(2).integers(0, 2, N),
        np.full(N, "one"),
        np.full(N, np.nan),
        # the same groups, but their mean of older rows: what a history gives
        TARGET[: N // 2].groupby(FRAME.city).mean().reindex(FRAME.city).to_numpy(),
    ],
)
def test_an_honest_column_is_not_suspect(values: Any) -> None:
    assert suspicion(np.asarray(values), KNOWN) is None


def test_a_strong_honest_column_is_not_suspect_but_measured() -> None:
    # given a feature that explains most of the target, as delay at departure does
    values = KNOWN.target + 0.4 * KNOWN.target.std() * NOISE

    assert suspicion(values, KNOWN) is None
    assert power_alone(values, KNOWN) == pytest.approx(0.86, abs=0.02)
    assert power_alone(np.random.default_rng(0).normal(size=N), KNOWN) < 0.02


def test_a_column_between_strong_and_certain_is_suspect_and_not_certain() -> None:
    found = suspicion(KNOWN.target + 0.17 * KNOWN.target.std() * NOISE, KNOWN)

    assert found is not None
    assert not found.certain
    assert "R² 0.97" in found.reason


@pytest.mark.parametrize("rows", [60, 400, N])
@pytest.mark.parametrize("shape", ["continuous", "whole", "heavy"])
def test_the_detector_finds_what_is_planted_in_tables_of_many_shapes(rows: int, shape: str) -> None:
    frame, known = table(3, rows)
    change = {"continuous": lambda y: y, "whole": np.round, "heavy": lambda y: np.exp(y / 12)}
    known = known._replace(target=change[shape](known.target))

    assert missed(known, frame.city.to_numpy()) == []
    assert missed(known._replace(event=None, outcome=None)) == []


def test_a_detector_that_finds_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops.datasets.checking.planting.suspicion", lambda *_: None)

    assert len(missed(KNOWN, FRAME.city.to_numpy())) == 5


def test_a_few_rows_say_nothing() -> None:
    few = KnownAfterwards(KNOWN.target[:5])

    assert suspicion(few.target, few) is None
    assert power_alone(few.target, few) == 0


def test_a_count_that_its_group_happens_to_have_is_no_statistic() -> None:
    rng = np.random.default_rng(3)
    holiday = (rng.random(N) < 0.03).astype(float)
    target = rng.poisson(9, N) + holiday  # the smallest count of holidays is 1, of others 0
    target[:2], holiday[:2] = (0, 1), (0, 1)

    assert suspicion(holiday, KnownAfterwards(target.astype(np.float64))) is None
