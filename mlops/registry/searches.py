"""Every finished search of the record in one line: how good each family got, time after time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from mlops.data.references import Reference
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.settings import Settings

_MOST: Final = 1_000  # of the newest


class FinishedSearch(Reference):
    """A finished search."""

    at: datetime  # when it ended, with time zone
    family: str
    rmse: float  # on the validation window, minutes
    mae: float  # likewise
    data_hash: str  # of the training set
    synthetic: bool = False  # learned from generated trips
    run_id: str  # in the record (MLflow)
    pipeline: str  # that searched; empty outside Mage
    pipeline_run: str  # its number; empty outside Mage
    trials: int
    seconds: float  # of all trials together


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
    return tuple(sorted(map(_search, runs), key=lambda search: search.at))


def _search(run: Any) -> FinishedSearch:
    tags, metrics, info = run.data.tags, run.data.metrics, run.info
    return FinishedSearch(
        at=datetime.fromtimestamp(info.end_time / 1_000, timezone.utc),
        family=tags["mlops.family"],
        rmse=metrics["rmse"],
        mae=metrics["mae"],
        data_hash=tags["mlops.data_hash"],
        synthetic=tags.get("mlops.synthetic") == "true",
        run_id=info.run_id,
        pipeline=tags.get("mlops.pipeline", ""),
        pipeline_run=tags.get("mlops.pipeline_run_id", ""),
        trials=int(tags["mlops.trials"]),
        seconds=(info.end_time - info.start_time) / 1_000,
    )
