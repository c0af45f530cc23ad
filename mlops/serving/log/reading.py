"""Reads the prediction log, for monitoring and for the upkeep of its files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.errors import ConfigurationError
from mlops.serving.log.parquet import compact, read_parquet
from mlops.serving.log.rows import DEFAULT_LOG, LogLayout, table_log
from mlops.settings import DEFAULT_DATASET, Settings

if TYPE_CHECKING:
    import pandas as pd


def log_layout(settings: Settings) -> LogLayout:
    """Return how the answers of the dataset that the settings name are logged.

    Raises:
        ConfigurationError: If there is no such dataset, or its definition is wrong.
    """
    if settings.dataset == DEFAULT_DATASET:
        return DEFAULT_LOG
    from mlops.datasets.declared.requests import RowForm
    from mlops.datasets.opening import declared_definition

    return table_log(RowForm(declared_definition(settings)).columns)


def read_log(
    settings: Settings, start: datetime, end: datetime, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read the answers of a span of time, from whichever sink is configured.

    Args:
        settings: As the server's.
        start: With time zone; inclusive.
        end: With time zone; exclusive.
        columns: Of the dataset's log; None for all.

    Returns:
        One row per answer, by time; missing numbers are NaN.

    Raises:
        ConfigurationError: If answers are not logged, or a column does not exist.
        MlopsError: If the database cannot be read.
    """
    schema = log_layout(settings).schema
    unknown = set(columns or ()) - set(schema.names)
    if unknown:
        raise ConfigurationError(
            f"the prediction log has no column {', '.join(sorted(unknown))}",
            f"choose among {', '.join(schema.names)}",
        )
    if settings.prediction_log.sink == "none":
        raise ConfigurationError(
            "prediction_log.sink: none: the server's answers are not logged",
            "set it to parquet or postgresql, and serve some requests",
        )
    names = list(columns or schema.names)
    if settings.prediction_log.sink == "parquet":
        table = read_parquet(settings.prediction_log_folder, start, end, names, schema)
    else:
        from mlops.serving.log.postgresql import read_postgresql, table_of

        url = settings.prediction_log.database_url.get_secret_value()
        table = read_postgresql(url, start, end, names, table_of(settings.dataset), schema)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def compact_log(settings: Settings, at_least: int = 100) -> int:
    """Join the small files of every day that has many; call it now and then, from any process.

    Args:
        settings: As the server's.
        at_least: Files that a day must have before they are joined.

    Returns:
        How many files were joined.
    """
    if settings.prediction_log.sink != "parquet":
        return 0
    days = settings.prediction_log_folder.glob("date=*")
    schema = log_layout(settings).schema
    return sum(compact(day, at_least, schema) for day in sorted(days))
