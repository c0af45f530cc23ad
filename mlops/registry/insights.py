"""The record of experiments for those who look at it: recent candidates, and what each tells."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from mlops.data.references import Reference
from mlops.evaluation.insight import Insight
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.registry.models import read_artifact
from mlops.registry.tracking import INSIGHT_FILE, Stage
from mlops.settings import Settings

_FINISHED: Final = "attributes.status = 'FINISHED' and tags.`mlops.stage` LIKE '%'"
_NEWEST_FIRST: Final = ("attributes.start_time DESC",)


class CandidateRun(Reference):
    """One recorded candidate without its model.

    Attributes:
        run_id: Its MLflow run.
        stage: ``search`` for a candidate, ``refit`` for a registered version.
        pipeline: That trained it; empty outside Mage.
        pipeline_run: Number of the pipeline's run, as text; empty outside Mage.
        data_hash: Of its training set.
        started_at: With time zone.
        seconds: Its trials took, all together.
        trials: How many; 0 for a refit.
        rmse: Minutes; on validation for a search, on test for a refit.
        mae: Likewise.
    """

    run_id: str
    family: str
    stage: Stage
    pipeline: str
    pipeline_run: str
    data_hash: str
    started_at: datetime
    seconds: float
    trials: int
    rmse: float
    mae: float


def recent_candidates(settings: Settings, limit: int) -> tuple[CandidateRun, ...]:
    """Return the last finished candidates and refits, newest first.

    Raises:
        RegistryError: If the record cannot be read.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    with registry_errors(settings):
        runs = client.search_runs(
            [experiment], _FINISHED, order_by=list(_NEWEST_FIRST), max_results=limit
        )
    return tuple(_candidate_run(run) for run in runs)


def newest_candidate(settings: Settings) -> str:
    """Return the id of the last finished candidate, or nothing: cheap to ask often.

    Raises:
        RegistryError: If the record cannot be read.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    with registry_errors(settings):
        runs = client.search_runs(
            [experiment], _FINISHED, order_by=["attributes.end_time DESC"], max_results=1
        )
    return str(runs[0].info.run_id) if runs else ""


def load_insight(settings: Settings, run_id: str) -> Insight | None:
    """Return what a run tells of its model, or None if it tells nothing that can be read."""
    from mlflow.exceptions import MlflowException

    try:
        text = read_artifact(connect(settings), run_id, INSIGHT_FILE)
        return Insight.model_validate_json(text)
    except (MlflowException, OSError, ValueError):
        return None


def _candidate_run(run: Any) -> CandidateRun:
    tags, metrics, info = run.data.tags, run.data.metrics, run.info
    return CandidateRun(
        run_id=info.run_id,
        family=tags["mlops.family"],
        stage=tags["mlops.stage"],
        pipeline=tags.get("mlops.pipeline", ""),
        pipeline_run=tags.get("mlops.pipeline_run_id", ""),
        data_hash=tags["mlops.data_hash"],
        started_at=datetime.fromtimestamp(info.start_time / 1_000, timezone.utc),
        seconds=(info.end_time - info.start_time) / 1_000,
        trials=int(tags["mlops.trials"]),
        rmse=metrics["rmse"],
        mae=metrics["mae"],
    )
