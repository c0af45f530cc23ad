"""One call of `mlops backtest`: record, replay, sum up, write, log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops import progress
from mlops.backtest.aging import aging_of
from mlops.backtest.chart import draw
from mlops.backtest.recording import record
from mlops.backtest.replay import Replay
from mlops.backtest.results import BacktestResult
from mlops.backtest.store import Store, key_of
from mlops.backtest.summary import staleness_of, totals_of, write_result
from mlops.backtest.tracking import log_result
from mlops.backtest.watching import Monitoring
from mlops.data.months import parse_months
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError, RegistryError
from mlops.settings import DEFAULT_DATASET, Settings

_CACHE = "cache"


def backtest(
    settings: Settings, first: str, last: str, policies: Sequence[str]
) -> tuple[BacktestResult, Path]:
    """Replay history and write what was found.

    Args:
        settings: The source and everything else; see `BacktestSettings`.
        first: First month of data, ``YYYY-MM``.
        last: Last month to replay.
        policies: Names of policies, at least one.

    Returns:
        The result, and the folder it was written to.

    Raises:
        MlopsError: If months, policies or rows are not usable; see `Replay.run` and `record`.
    """
    months = parse_months(f"{first}..{last}")
    if len(set(policies)) < len(policies) or not policies:
        raise ConfigurationError(
            f"--policy: {', '.join(policies) or 'none'} given", "name each policy once"
        )
    store = Store(settings.backtests / _CACHE)
    replay = Replay(record(settings, months), months, settings, store, Monitoring(settings, store))
    steps = replay.run(policies)
    initial = settings.backtest.initial_months
    words = dataset_of(settings).words
    result = BacktestResult(
        months=months[initial:],
        learned_before=months[:initial],
        source=_named(settings),
        unit=words.unit,
        plural=words.rows,
        synthetic=settings.dataset == DEFAULT_DATASET and settings.source.kind == "sample",
        steps=tuple(steps),
        totals=totals_of(steps),
        staleness=staleness_of(steps),
        aging=aging_of(replay, steps),
    )
    name = f"{first}_{last}-{key_of(result.model_dump(mode='json'))[:8]}"
    folder = settings.backtests / name
    write_result(result, folder, draw(result))
    try:
        log_result(settings, result, folder)
    except RegistryError as error:  # the files are what counts, and they are there
        progress.report(f"not recorded in MLflow: {error.message}")
    return result, folder


def _named(settings: Settings) -> str:
    """Name the source in a few words."""
    source = settings.source
    if settings.dataset != DEFAULT_DATASET:
        return settings.dataset
    return f"{source.series} {settings.dataset}, {source.kind}"
