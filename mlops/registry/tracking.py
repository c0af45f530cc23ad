"""The record of experiments: one MLflow run per candidate, one nested run per trial.

Everything about a candidate is written when it is finished, in few transactions: tracking must
cost a small share of the search it records.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mlops.data.references import TrainingSetManifest
from mlops.errors import RegistryError
from mlops.registry.connection import connect, ensure_tracking, many_writes, registry_errors
from mlops.registry.descriptions import tags_of_run
from mlops.registry.models import log_model
from mlops.registry.receipts import Receipt
from mlops.registry.writers import has_ended, this_process
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.evaluation.insight import Insight
    from mlops.training.artifact import TabularModel

Stage = Literal["search", "refit"]

RECEIPT_FILE: Final = "receipt.json"
INSIGHT_FILE: Final = "insight.json"
MODEL_TAG: Final = "mlops.model_uri"
_WRITER_TAG: Final = "mlops.writer"
ERROR_TAG: Final = "mlops.error"
_TAG_CHARACTERS: Final = 4_000  # MLflow's databases hold 5 000
_PARAMS_PER_BATCH: Final = 100  # MLflow's own limits
_METRICS_PER_BATCH: Final = 1_000


class TrialRecord(Protocol):
    """One trial of a search, as `mlops.training.tuning.Trial` has it."""

    @property
    def number(self) -> int:
        """Position in the search, from 0."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Hyperparameters, constants included."""

    @property
    def rmse(self) -> float | None:
        """On validation; None if the trial failed."""

    @property
    def mae(self) -> float | None:
        """On validation; None if the trial failed."""

    @property
    def seconds(self) -> float:
        """Wall time."""

    @property
    def status(self) -> str:
        """``ok``, or why not."""


class SearchRecord(Protocol):
    """A finished search, as `mlops.training.tuning.SearchResult` has it."""

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """In order."""

    @property
    def learning_curve(self) -> Sequence[float]:
        """Validation RMSE after each round of the best trial; empty if not iterative."""


class MetricValues(Protocol):
    """Named numbers, as `mlops.evaluation.metrics.Metrics` has them."""

    def model_dump(self) -> dict[str, Any]:
        """Return name to value."""


def log_candidate(
    settings: Settings,
    *,
    manifest: TrainingSetManifest,
    model: TabularModel,
    metrics: MetricValues,
    receipt: Receipt,
    search: SearchRecord | None = None,
    insight: Insight | None = None,
    stage: Stage = "search",
) -> str:
    """Record one finished candidate: parameters, metrics, trials, curves, data and model.

    Args:
        settings: Say where the record is kept.
        manifest: The training set it learned from; logged as the run's dataset.
        model: The fitted model; logged once.
        metrics: Its metrics, on validation for a search, on test for a refit.
        receipt: Where it comes from.
        search: Its trials and learning curve; None for a refit.
        insight: What dashboards and reports show of it.
        stage: ``search`` for a candidate, ``refit`` for the model that goes to the registry.

    Returns:
        The id of the run.

    Raises:
        RegistryError: If the record cannot be written; the run is then marked as failed.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    ended = _now()
    trials = search.trials if search else ()
    seconds = sum(trial.seconds for trial in trials)
    tags = {**_tags(receipt), "mlops.stage": stage, "mlops.trials": str(len(trials))}
    tags[_WRITER_TAG] = this_process()
    with registry_errors(settings), many_writes(settings):
        run = client.create_run(
            experiment,
            start_time=ended - int(seconds * 1_000),
            tags={
                **tags,
                **tags_of_run(settings, receipt, metrics.model_dump().get("rmse"), stage),
            },
            run_name=receipt.family if stage == "search" else f"{receipt.family} refit",
        ).info.run_id
        try:
            client.log_inputs(run, [_dataset(manifest)])
            _log(client, run, receipt.params, _metrics(metrics, search, ended))
            client.log_text(run, receipt.model_dump_json(indent=2), RECEIPT_FILE)
            if insight is not None:
                client.log_text(run, insight.model_dump_json(), INSIGHT_FILE)
            _log_trials(client, experiment, run, trials, receipt.family, ended)
            uri = log_model(settings, client, experiment, run, model, receipt, tags)
            client.set_tag(run, MODEL_TAG, uri)
        except BaseException:
            client.set_terminated(run, status="FAILED")
            raise
        client.set_terminated(run, end_time=ended)
    return str(run)


def close_abandoned_runs(settings: Settings) -> int:
    """Mark the runs as killed whose writers died before they could end them.

    Only processes of this machine can be looked for; runs of other machines, and those that carry
    no writer, stay as they are.

    Returns:
        How many were closed.

    Raises:
        RegistryError: If the record cannot be read or written.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    with registry_errors(settings):
        running = client.search_runs(
            [experiment], "attributes.status = 'RUNNING'", max_results=1_000
        )
        abandoned = [r for r in running if has_ended(r.data.tags.get(_WRITER_TAG, ""))]
        for run in abandoned:
            client.set_tag(run.info.run_id, ERROR_TAG, "its process ended before the run did")
            client.set_terminated(run.info.run_id, status="KILLED")
    return len(abandoned)


def log_failed_candidate(
    settings: Settings, family: str, data_hash: str, error: str, variables: Mapping[str, Any]
) -> None:
    """Record a search that failed, so that it is seen beside those that did not.

    Args:
        settings: Say where the record is kept.
        family: Of the candidate.
        data_hash: SHA-256 of the training set.
        error: Why it failed.
        variables: Run-time variables of the Mage block; name the pipeline and its run.

    Raises:
        RegistryError: If the record cannot be written.
    """
    experiment = ensure_tracking(settings)
    client = connect(settings)
    tags = {
        "mlops.family": family,
        "mlops.data_hash": data_hash,
        "mlops.stage": "search",
        "mlops.pipeline": str(variables.get("pipeline_uuid") or ""),
        "mlops.pipeline_run_id": str(variables.get("pipeline_run_id") or ""),
        ERROR_TAG: error[:_TAG_CHARACTERS],
    }
    with registry_errors(settings), many_writes(settings):
        run = client.create_run(experiment, tags=tags, run_name=family)
        client.set_terminated(run.info.run_id, status="FAILED")


def model_uri(settings: Settings, run_id: str) -> str:
    """Return the URI (``models:/m-…``) of the model that a run logged.

    Raises:
        RegistryError: If there is no such run, or it logged no model.
    """
    client = connect(settings)
    with registry_errors(settings):
        uri = client.get_run(run_id).data.tags.get(MODEL_TAG)
    if not uri:
        raise RegistryError(
            f"run {run_id} logged no model", "choose a finished run: mlops models lists them"
        )
    return str(uri)


def _log_trials(
    client: Any,
    experiment: str,
    parent: str,
    trials: Sequence[TrialRecord],
    family: str,
    ended: int,
) -> None:
    from mlflow.entities import Metric

    started = ended - int(sum(trial.seconds for trial in trials) * 1_000)
    for trial in trials:
        finished = started + int(trial.seconds * 1_000)
        run = client.create_run(
            experiment,
            start_time=started,
            tags={
                _WRITER_TAG: this_process(),
                "mlflow.parentRunId": parent,
                "mlops.family": family,
                "mlops.trial_status": trial.status,
            },
            run_name=f"{family} trial {trial.number + 1}",
        ).info.run_id
        values = {"rmse": trial.rmse, "mae": trial.mae, "seconds": trial.seconds}
        measured = [Metric(k, v, finished, 0) for k, v in values.items() if v is not None]
        _log(client, run, trial.params, measured)
        client.set_terminated(
            run, status="FINISHED" if trial.rmse is not None else "FAILED", end_time=finished
        )
        started = finished


def _log(client: Any, run: str, params: Mapping[str, Any], metrics: Sequence[Any]) -> None:
    """Log in as few transactions as MLflow's limits on one batch allow: mostly one."""
    from mlflow.entities import Param

    entries = [Param(name, str(value)) for name, value in params.items()]
    first = True
    while first or entries or metrics:
        client.log_batch(run, metrics[:_METRICS_PER_BATCH], entries[:_PARAMS_PER_BATCH])
        entries, metrics = entries[_PARAMS_PER_BATCH:], metrics[_METRICS_PER_BATCH:]
        first = False


def _metrics(metrics: MetricValues, search: SearchRecord | None, at: int) -> list[Any]:
    from mlflow.entities import Metric

    known = {name: value for name, value in metrics.model_dump().items() if value is not None}
    values = [Metric(name, float(value), at, 0) for name, value in known.items()]
    if search is None:
        return values
    best = float("inf")
    for trial in search.trials:
        if trial.rmse is not None:
            best = min(best, trial.rmse)
            values.append(Metric("best_rmse_so_far", best, at, trial.number))
    values += [Metric("learning_curve", v, at, i) for i, v in enumerate(search.learning_curve)]
    return values


def _dataset(manifest: TrainingSetManifest) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [{"type": kind, "name": name} for name, kind in manifest.columns.items()]
    dataset = Dataset(
        name=manifest.product,
        digest=manifest.sha256[:36],  # MLflow's limit; the tag mlops.data_hash holds all of it
        source_type="local",
        source=json.dumps({"uri": manifest.uri}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": manifest.rows}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _tags(receipt: Receipt) -> dict[str, str]:
    return {
        "mlops.family": receipt.family,
        "mlops.code_commit": receipt.code_commit,
        "mlops.data_hash": receipt.data_hash,
        "mlops.lock_hash": receipt.lock_hash,
        "mlops.seed": str(receipt.seed),
        "mlops.pipeline": receipt.pipeline,
        "mlops.pipeline_run_id": receipt.pipeline_run_id,
        "mlops.synthetic": str(receipt.synthetic).lower(),
    }


def _now() -> int:
    return int(time.time() * 1_000)
