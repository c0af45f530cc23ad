"""How models age: every model of a replay on every later month, beside the newest model there was.

Months differ in how hard they are, so the error of one model over time says little of its age. On
the same month, the difference to a model trained that morning is what staleness costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlops.backtest.replay import Replay
from mlops.backtest.results import Aging, ReplayStep
from mlops.backtest.scoring import live_performance, predictions_of
from mlops.backtest.training import read_training
from mlops.data.months import month_bounds, months_between
from mlops.datasets.opening import dataset_of


def aging_of(replay: Replay, steps: Sequence[ReplayStep]) -> tuple[Aging, ...]:
    """Measure every model trained for the steps, refused ones included, on the months after it.

    This looks back from the end: nothing was decided by it.
    """
    keys = dict.fromkeys(key for step in steps for key in (step.champion, step.challenger) if key)
    trainings = [read_training(key, replay.store) for key in keys]
    end, given = replay.history.clock(datetime.max), (replay.settings, replay.store)
    target = dataset_of(replay.settings).target
    found = []
    for month in sorted({step.month for step in steps}):
        start, _ = month_bounds(month)
        ended = end.finished(start)
        errors = [
            (training, live_performance(answers, ended, target).rmse)
            for training in trainings
            if training.at <= start
            for answers in [predictions_of(training, end, month, *given)]
        ]
        _, newest = max(errors, key=lambda each: each[0].at)
        found += [
            Aging(
                model=training.key,
                trained_at=training.at,
                month=month,
                age_months=months_between(training.at, start),
                rmse=rmse,
                excess=rmse / newest - 1,
            )
            for training, rmse in errors
        ]
    return tuple(found)
