"""What a champion answered in a month, and how these answers turned out."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from mlops.backtest.history import Clock, content_sha256
from mlops.backtest.results import Live
from mlops.backtest.store import WAY_OUT, Store, key_of
from mlops.backtest.training import Training, model_of
from mlops.data.months import month_bounds
from mlops.datasets.answers import ANSWER
from mlops.errors import DamagedFileError
from mlops.evaluation.metrics import interval_metrics, regression_metrics
from mlops.records.atomic import atomic_file
from mlops.records.files import report
from mlops.records.parquet import read_table, write_table
from mlops.settings import Settings


def predictions_of(
    champion: Training, clock: Clock, month: str, settings: Settings, store: Store
) -> pd.DataFrame:
    """Answer the requests of a month in the order of events, or find them answered.

    Args:
        champion: Who answers.
        clock: Shows the requests; it must have come to the end of the month.
        month: As ``YYYY-MM``.
        settings: Threads.
        store: Keeps the answers, one parquet file per champion and month.

    Returns:
        `ANSWER` by the numbers of rows.
    """
    requests = clock.requests(*month_bounds(month))
    key = key_of("predictions", champion.key, content_sha256(requests))
    path = store.path("predictions", key, ".parquet")
    if path.exists():
        try:
            known: pd.DataFrame = read_table(path, WAY_OUT).to_pandas()
            return known
        except DamagedFileError as error:
            report(error)
    predicted = model_of(champion, settings, store).predict(requests)
    with atomic_file(path) as temporary:
        write_table(pa.Table.from_pandas(predicted), temporary, compression="zstd")
    return predicted


def live_performance(predictions: pd.DataFrame, ended: pd.DataFrame, target: str) -> Live:
    """Measure answers against what happened.

    Args:
        predictions: As from `predictions_of`.
        ended: Clean rows with their answers; others than those predicted are left out.
        target: Column of the answers.
    """
    both = predictions.join(ended[[target]], how="inner")
    actual, (minutes, lower, upper) = both[target], (both[name] for name in ANSWER)
    errors = regression_metrics(actual, minutes)
    return Live(
        rows=len(both),
        rmse=errors.rmse,
        mae=errors.mae,
        bias=errors.bias,
        coverage=interval_metrics(actual, lower, upper).coverage,
    )
