"""Reads the prediction log, for monitoring and for the upkeep of its files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.errors import ConfigurationError
from mlops.serving.log.parquet import compact, read_parquet
from mlops.serving.log.rows import SCHEMA
from mlops.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


def read_log(
    settings: Settings, start: datetime, end: datetime, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read the answers of a span of time, from whichever sink is configured.

    Args:
        settings: As the server's.
        start: With time zone; inclusive.
        end: With time zone; exclusive.
        columns: Of `SCHEMA`; None for all.

    Returns:
        One row per answer, by time; missing numbers are NaN.

    Raises:
        ConfigurationError: If answers are not logged, or a column does not exist.
        MlopsError: If the database cannot be read.
    """
    unknown = set(columns or ()) - set(SCHEMA.names)
    if unknown:
        raise ConfigurationError(
            f"the prediction log has no column {', '.join(sorted(unknown))}",
            f"choose among {', '.join(SCHEMA.names)}",
        )
    if settings.prediction_log.sink == "none":
        raise ConfigurationError(
            "prediction_log.sink: none: the server's answers are not logged",
            "set it to parquet or postgresql, and serve some requests",
        )
    names = list(columns or SCHEMA.names)
    if settings.prediction_log.sink == "parquet":
        table = read_parquet(settings.prediction_log_folder, start, end, names)
    else:
        from mlops.serving.log.postgresql import read_postgresql

        url = settings.prediction_log.database_url.get_secret_value()
        table = read_postgresql(url, start, end, names)
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
    return sum(compact(day, at_least) for day in sorted(days))
