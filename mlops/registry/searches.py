"""What the record of experiments holds: searches, finished and failed, and what they showed."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any, Final

from mlops.data.references import Reference
from mlops.evaluation.insight import Insight
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.registry.models import find_logged, location_of, read_logged
from mlops.registry.receipts import Receipt
from mlops.registry.tracking import ERROR_TAG, INSIGHT_FILE, MODEL_TAG, RECEIPT_FILE
from mlops.registry.trust import find_trusted
from mlops.settings import Settings

logger = logging.getLogger(__name__)

_MOST: Final = 1_000  # of the newest


class FinishedSearch(Reference):
    """A finished search in one line: how good a family got, time after time."""

    at: datetime  # when it ended, with time zone
    family: str
    rmse: float  # on the validation window
    mae: float  # likewise
    data_hash: str  # of the training set
    synthetic: bool = False  # learned from generated rows
    run_id: str  # in the record (MLflow)
    pipeline: str  # that searched; empty outside Mage
    pipeline_run: str  # its number; empty outside Mage
    trials: int
    seconds: float  # of all trials together


class Candidate(Reference):
    """A finished search with all that a refit needs."""

    run_id: str
    family: str
    params: dict[str, Any]
    validation_rmse: float
    trials: int
    receipt: Receipt


class FailedCandidate(Reference):
    """A search that failed."""

    family: str
    error: str


def finished_searches(settings: Settings) -> tuple[FinishedSearch, ...]:
    """Return the newest finished searches, the latest last.

    Args:
        settings: Say where the record is kept.

    Raises:
        RegistryError: If the record cannot be read.
    """
    runs = _searches(settings, "FINISHED")
    return tuple(sorted(map(_finished, runs), key=lambda search: search.at))


def finished_candidates(
    settings: Settings, data_hash: str, pipeline_runs: Collection[str] = ()
) -> tuple[Candidate, ...]:
    """Return the newest finished search of each family on one training set, best first.

    Runs whose model this home does not trust are left out with a warning: anybody who can write to
    MLflow can make a run that looks finished.

    Args:
        settings: Say where the record is kept.
        data_hash: SHA-256 of the training set.
        pipeline_runs: Numbers of the pipeline runs whose searches count; by default all do.

    Raises:
        RegistryError: If the record cannot be read.
    """
    newest = _newest_of_families(settings, data_hash, pipeline_runs, "FINISHED")
    client = connect(settings)
    with registry_errors(settings):
        found = [_candidate(client, run) for run in newest.values()]
    return tuple(sorted(found, key=lambda candidate: candidate.validation_rmse))


def failed_candidates(
    settings: Settings, data_hash: str, pipeline_runs: Collection[str]
) -> tuple[FailedCandidate, ...]:
    """Return the searches of pipeline runs that failed; those repeated with success are left out.

    Args:
        settings: Say where the record is kept.
        data_hash: SHA-256 of the training set.
        pipeline_runs: Numbers of the pipeline runs.

    Raises:
        RegistryError: If the record cannot be read.
    """
    if not pipeline_runs:
        return ()
    mended = _newest_of_families(settings, data_hash, pipeline_runs, "FINISHED")
    failed = _newest_of_families(settings, data_hash, pipeline_runs, "FAILED")
    return tuple(
        FailedCandidate(family=family, error=run.data.tags.get(ERROR_TAG, "its record failed"))
        for family, run in failed.items()
        if family not in mended
    )


def load_insight(settings: Settings, run_id: str) -> Insight | None:
    """Return what was seen in a run's model, or None if nothing is recorded that can be read.

    Args:
        settings: Say where the record is kept.
        run_id: Of a candidate (`FinishedSearch`) or of a registered version (`VersionInfo`).
    """
    return find_logged(connect(settings), run_id, INSIGHT_FILE, Insight)


def _searches(settings: Settings, status: str, data_hash: str = "") -> list[Any]:
    """Return the runs of searches that ended so, by default of any training set, newest first."""
    of_set = f" and tags.`mlops.data_hash` = '{data_hash}'" if data_hash else ""
    experiment = ensure_tracking(settings)
    client = connect(settings)
    with registry_errors(settings):
        runs = client.search_runs(
            [experiment],
            f"tags.`mlops.stage` = 'search' and attributes.status = '{status}'{of_set}",
            order_by=["attributes.start_time DESC"],
            max_results=_MOST,
        )
    return list(runs)


def _newest_of_families(
    settings: Settings, data_hash: str, pipeline_runs: Collection[str], status: str
) -> dict[str, Any]:
    """Return the newest search of each family that ended so."""
    newest: dict[str, Any] = {}
    for run in _searches(settings, status, data_hash):
        family, number = (run.data.tags.get(f"mlops.{n}") for n in ("family", "pipeline_run_id"))
        if family in newest or (pipeline_runs and number not in pipeline_runs):
            continue
        if status == "FAILED" or _is_trusted(settings, run):
            newest[family] = run
    return newest


def _is_trusted(settings: Settings, run: Any) -> bool:
    uri = run.data.tags.get(MODEL_TAG, "")
    if uri and find_trusted(settings, location_of(settings, uri)):
        return True
    logger.warning(
        "run %s (%s) is left out: its model was not logged from this home",
        run.info.run_id,
        run.data.tags["mlops.family"],
    )
    return False


def _candidate(client: Any, run: Any) -> Candidate:
    receipt = read_logged(client, run.info.run_id, RECEIPT_FILE, Receipt)
    return Candidate(
        run_id=run.info.run_id,
        family=receipt.family,
        params=receipt.params,
        validation_rmse=run.data.metrics["rmse"],
        trials=int(run.data.tags["mlops.trials"]),
        receipt=receipt,
    )


def _finished(run: Any) -> FinishedSearch:
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
