"""From a source of rows to a recorded history: what was requested, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

import pandas as pd

from mlops import progress
from mlops.backtest.history import ANSWERABLE, LEARNABLE, History
from mlops.data.references import Extraction
from mlops.datasets.dataset import Dataset
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError
from mlops.settings import Settings


def record(settings: Settings, months: Sequence[str]) -> History:
    """Record the months of the configured source.

    Args:
        settings: The source, the data contract and the delay of labels.
        months: As ``YYYY-MM``.

    Raises:
        ConfigurationError: If `settings.source` gives other months than those asked for.
        DataQualityError: If a month breaks the data contract as a whole: no pipeline would have
            learned from it.
        SourceError: If a month is missing or cannot be read.
    """
    dataset = dataset_of(settings)
    watching, source = dataset.watching(settings), dataset.arriving(settings)
    extraction = _extract(dataset, settings, months)
    dataset.validate(extraction, settings)
    parts = []
    for month in sorted({file.month for file in extraction.files}):
        files = [file for file in extraction.files if file.month == month]
        came = source.judged(month, sorted(files, key=lambda file: file.sha256))
        rows = came.rows.assign(**{ANSWERABLE: ~came.refused, LEARNABLE: ~came.unclean})
        parts.append(rows if month else _of_months(rows, watching.event, months))
    rows = pd.concat(parts, ignore_index=True)
    progress.report("recorded", months=len(months), rows=len(rows))
    delay = max(watching.label_delay, timedelta(hours=settings.backtest.label_delay_hours))
    return History(rows, watching, delay)


def _of_months(rows: pd.DataFrame, event: str, months: Sequence[str]) -> pd.DataFrame:
    """Return the rows of some months, of files that hold rows of any time."""
    of = rows[event].dt.strftime("%Y-%m")
    _require(months, set(of.dropna()))
    chosen: pd.DataFrame = rows[of.isin(months)]
    return chosen


def _require(months: Sequence[str], found: Collection[str]) -> None:
    if missing := sorted(set(months) - set(found)):
        raise ConfigurationError(
            f"source.location has no rows of {', '.join(missing)}",
            f"add their files, or replay other months: there are {', '.join(sorted(found))}",
        )


def _extract(dataset: Dataset, settings: Settings, months: Sequence[str]) -> Extraction:
    """Extract all months at once, but let each month from ``drift_from`` on drift by itself."""
    start = settings.backtest.drift_from or "9999-12"
    before = [month for month in months if month < start]
    groups = [([",".join(before)] if before else []), [m for m in months if m >= start]]
    extractions = []
    for steady, texts in zip((True, False), groups, strict=True):
        for text in texts:
            changes: dict[str, object] = {"months": text}
            if steady and len(groups[1]):
                changes["sample_drift"] = 0.0
            source = settings.source.model_copy(update=changes)
            extractions.append(dataset.extract(settings.model_copy(update={"source": source})))
    files = tuple(file for extraction in extractions for file in extraction.files)
    found = extractions[0].model_copy(update={"files": files})
    if all(file.month for file in files):
        _require(months, found.months)
    kept = tuple(file for file in files if not file.month or file.month in set(months))
    return found.model_copy(update={"files": kept})
