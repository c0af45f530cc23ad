"""What a replay comes to, as it is stored: read by dashboards and reports, which replay nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from mlops.data.references import Reference
from mlops.records.files import find_pointed, find_record

RESULT_FILE: Final = "backtest.json"
CURRENT: Final = "current"  # file naming the folder of the latest replay


class Live(Reference):
    """How the answers of a month turned out, once every label had arrived, in their unit."""

    rows: int
    rmse: float
    mae: float
    bias: float  # predicted - actual
    coverage: float  # share of rows inside their interval


class Signal(Reference):
    """What the windows of a month say of one kind of change."""

    alarm: bool
    windows: tuple[bool, ...]  # violated? in order of time
    reason: str  # for or against, in words


class Signals(Reference):
    """What monitoring says at the end of a month."""

    drift: Signal
    performance: Signal


class ReplayStep(Reference):
    """One month under one policy."""

    policy: str
    month: str
    champion: str  # key of the training that answered
    champion_at: datetime  # when it was trained and promoted
    learned_until: datetime  # by the champion
    age_months: int  # of the champion, at the beginning of the month
    requests: int
    live: Live
    signals: Signals
    retrain: bool  # what the policy decided
    reason: str
    challenger: str | None = None  # key of the training that followed
    challenger_rmse: float | None = None  # on its test window
    training_seconds: float = 0.0
    verdict: str = ""  # the gate's, in words
    promoted: bool = False


class Aging(Reference):
    """One model on one month, whether it answered then or not."""

    model: str  # key of the training
    trained_at: datetime
    month: str
    age_months: int  # at the beginning of the month
    rmse: float  # minutes
    excess: float  # relative, over the newest model of that month: 0.02 is 2 % worse


class Totals(Reference):
    """One policy over all months."""

    policy: str
    months: int
    mean_live_rmse: float  # each month counting the same
    worst_live_rmse: float
    mean_coverage: float
    retrainings: int
    promotions: int
    training_seconds: float  # without the first model, which all policies share
    mean_age_months: float


class Aged(Reference):
    """The months that models of one age answered under one policy."""

    policy: str
    age_months: int
    months: int
    trips: int
    rmse: float  # over all these rows


class BacktestResult(Reference):
    """A whole replay, as it is stored."""

    months: tuple[str, ...]  # replayed
    learned_before: tuple[str, ...]
    source: str
    unit: str = "minutes"  # of answers and errors; empty if they have none
    plural: str = "trips"  # what rows are called
    synthetic: bool
    steps: tuple[ReplayStep, ...]
    totals: tuple[Totals, ...]
    staleness: tuple[Aged, ...]
    aging: tuple[Aging, ...]


def latest_result(backtests: Path) -> BacktestResult | None:
    """Return the replay that was written last; None before the first.

    Raises:
        DamagedFileError: If its file is damaged.
    """
    way_out = "repeat the backtest, which rewrites {path}: mlops backtest"
    folder = find_pointed(backtests / CURRENT, RESULT_FILE, way_out)
    return find_record(folder / RESULT_FILE, BacktestResult, way_out) if folder else None
