"""A declared table is watched as trips are: quiet weeks raise no alarm, and what is broken does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.answers import ANSWER
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.watched.watching import TableWatching
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import MonitoringSettings, ValidationSettings
from tests.datasets.declared.deliveries import deliveries

WATCHING = TableWatching.of(deliveries(histories="{}", slices="{city: city}"), ValidationSettings())
SETTINGS = MonitoringSettings()


def rows_of(start: str, days: int, seed: int) -> pd.DataFrame:
    """Return 250 deliveries a day, most of them about noon."""
    random, n = np.random.default_rng(seed), 250 * days
    minutes = np.sort(
        random.integers(0, days, n) * 1_440 + random.normal(720, 200, n).clip(0, 1_439).round()
    )
    at = np.datetime64(start, "us") + minutes.astype("timedelta64[m]")
    quoted = random.integers(10, 60, n).astype(float)
    return pd.DataFrame(
        {
            "order": [f"{seed}-{k}" for k in range(n)],
            "ordered_at": at,
            "weight": random.gamma(2, 2, n).round(2),
            "quoted": quoted,
            "fragile": random.choice([1.0, 0.0, np.nan], n),
            "city": random.choice(np.array(["Rome", "Milan"], dtype=object), n),
            "courier": random.choice(np.array([f"c{k}" for k in range(400)], dtype=object), n),
            "promised_at": at + quoted.astype("timedelta64[m]"),
            "ready_at": at + np.timedelta64(20, "m"),
            "minutes": quoted + random.normal(0, 5, n),
            "delivered_at": at + quoted.astype("timedelta64[m]"),
            "depot": "north",
        }
    )


def window_of(rows: pd.DataFrame, encoder: TableEncoder) -> RowWindow:
    answers = pd.DataFrame(dict.fromkeys(ANSWER, rows["quoted"]))
    answers[ANSWER[1]] -= 6.4
    answers[ANSWER[2]] += 6.4
    return RowWindow.of(rows, answers, WATCHING, encoder)


@pytest.fixture(scope="module")
def report() -> Callable[[pd.DataFrame], WindowReport]:
    """Profile eight weeks, the last four of them a test; return what judges a window."""
    past = rows_of("2024-01-01", 56, 1)
    encoder = TableEncoder.fit(WATCHING.definition, past)
    tested_from, limits = datetime(2024, 1, 29), (0.0, 100.0)
    profile = build_profile(window_of(past, encoder), "1", tested_from, limits, SETTINGS)
    profile = ReferenceProfile.model_validate_json(profile.model_dump_json())

    def judged(rows: pd.DataFrame) -> WindowReport:
        return report_window(window_of(rows, encoder), profile, SETTINGS, name="w")

    return judged


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_quiet_week_raises_no_alarm(report: Any, seed: int) -> None:
    found = report(rows_of("2024-03-04", 10, seed))

    assert found.alarms == ()
    assert found.labelled == found.rows == 2_500
    judged = {f.subject for f in found.findings if f.outcome == "ok"}
    assert {"city", "courier", "weight", "minutes", "all rows", "city: Rome"} <= judged
    assert {f.unit for f in found.findings if f.statistic == "rmse"} == {"minutes"}


def changed(rows: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    return rows.assign(**{name: change(rows[name]) for name, change in columns.items()})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"minutes": lambda of: of + 30}, ("performance", "all rows", "rmse")),
        ({"minutes": lambda of: of + 30}, ("labels", "minutes", "psi")),
        ({"weight": lambda of: of.where(of.index % 3 > 0)}, ("quality", "missing weight", "share")),
        ({"weight": lambda of: of * 2.2}, ("drift", "weight", "ks")),
        ({"weight": lambda of: -of}, ("quality", "rule weight_wrong", "share")),
        ({"courier": lambda of: "new"}, ("quality", "unknown courier", "share")),
        ({"city": lambda of: of.where(of.index % 2 > 0, "Rome")}, ("drift", "city", "psi")),
        (
            {"ordered_at": lambda of: of.dt.floor("D")},
            ("quality", "repeated instants", "share"),
        ),
        (
            {"promised_at": lambda of: of + pd.Timedelta(hours=1)},
            ("drift", "promised_at", "ks"),
        ),
    ],
)
def test_what_is_broken_is_found(report: Any, change: Any, found: tuple[str, str, str]) -> None:
    broken = partial(changed, rows_of("2024-03-04", 10, 5))(**change)

    alarms = {(f.kind, f.subject, f.statistic) for f in report(broken).alarms}

    assert found in alarms
