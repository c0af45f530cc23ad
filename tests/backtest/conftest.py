"""A short synthetic history, and a replay of it that takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.backtest.history import Clock, History
from mlops.backtest.recording import record
from mlops.backtest.replay import Replay
from mlops.backtest.results import Signal, Signals
from mlops.backtest.store import Store
from mlops.backtest.training import Training
from mlops.settings import Settings, load_settings

MONTHS = ("2023-10", "2023-11", "2023-12", "2024-01")
SMALL = {
    "source.sample_rows": 1_500,
    "source.sample_drift": 1.0,
    "backtest.drift_from": "2023-12",
    "backtest.initial_months": 1,
    "windows.test_days": 7,
    "backtest.families": "global_mean,group_median,linear_regression",
    "backtest.max_evals": 1,
    "training.threads": 1,
    "evaluation.latency_samples": 1,
    "evaluation.latency_warm_up": 0,
    "gate.max_latency_ms": 60_000,  # of no interest here, and the machine may be busy
    "gate.max_rmse": 60,
    "gate.bootstrap_samples": 100,
}


class ScriptedWatcher:
    """Says what it is told, and remembers who was adopted when."""

    def __init__(self, drift: bool = False, performance: bool = False) -> None:
        self.drift, self.performance = drift, performance
        self.adopted: list[tuple[str, datetime]] = []

    def adopt(self, champion: Training, clock: Clock) -> None:
        self.adopted.append((champion.key, clock.now))

    def look(self, champion: Training, clock: Clock, start: datetime) -> Signals:
        def say(alarm: bool) -> Signal:
            return Signal(alarm=alarm, windows=(alarm,), reason="as told")

        return Signals(drift=say(self.drift), performance=say(self.performance))


@pytest.fixture(scope="session")
def small_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings({**SMALL, "home": str(tmp_path_factory.mktemp("backtest"))})


@pytest.fixture(scope="session")
def small_history(small_settings: Settings) -> History:
    return record(small_settings, MONTHS)


@pytest.fixture(scope="session")
def make_replay(
    small_settings: Settings, small_history: History, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Replay]:
    """Return a maker of replays; each has a store of its own unless one is given."""

    def make(
        history: History | None = None,
        watcher: Any = None,
        folder: Path | None = None,
        settings: Settings | None = None,
    ) -> Replay:
        store = Store(folder or tmp_path_factory.mktemp("store"))
        return Replay(
            history or small_history,
            MONTHS,
            settings or small_settings,
            store,
            watcher or ScriptedWatcher(),
        )

    return make


@pytest.fixture(scope="session")
def monthly(make_replay: Callable[..., Replay]) -> Any:
    """Return a finished replay under ``never`` and ``monthly``, with its steps."""
    replay = make_replay()
    return replay, replay.run(["never", "monthly"])
