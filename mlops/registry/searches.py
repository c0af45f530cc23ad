"""Every finished search of the record in one line: how good each family got, time after time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from mlops.data.references import Reference
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.settings import Settings

_MOST: Final = 1_000  # of the newest


class FinishedSearch(Reference):
    """A finished search."""

    at: datetime  # when it ended, with time zone
    family: str
    rmse: float  # on the validation window, minutes
    data_hash: str  # of the training set


def finished_searches(settings: Settings) -> tuple[FinishedSearch, ...]:
    """Return the newest finished searches, the latest last.

    Args:
        settings: Say where the record is kept.

    Raises:
        RegistryError: If the record cannot be read.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    with registry_errors(settings):
        runs = client.search_runs(
            [experiment],
            "tags.`mlops.stage` = 'search' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=_MOST,
        )
    found = (
        FinishedSearch(
            at=datetime.fromtimestamp(run.info.end_time / 1_000, timezone.utc),
            family=run.data.tags["mlops.family"],
            rmse=run.data.metrics["rmse"],
            data_hash=run.data.tags["mlops.data_hash"],
        )
        for run in runs
    )
    return tuple(sorted(found, key=lambda search: search.at))
