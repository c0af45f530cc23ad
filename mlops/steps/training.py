"""Steps of `sklearn_training` and `xgboost_training`: fan out, search, fit, record, collect."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from mlops import progress
from mlops.counting import counted
from mlops.data.references import Reference
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.dataset import Dataset
from mlops.datasets.opening import dataset_of
from mlops.errors import PipelineFailureError, RegistryError
from mlops.evaluation.explanation import gain_insight
from mlops.evaluation.insight import Insight, WindowName
from mlops.evaluation.metrics import regression_metrics
from mlops.registry.receipts import collect_receipt
from mlops.registry.tracking import log_candidate, log_failed_candidate
from mlops.settings import Settings, load_settings
from mlops.steps.products import route_statistics_for, training_set_from
from mlops.training.artifact import TabularModel
from mlops.training.choice import check_training, families_to_train
from mlops.training.families import family_of
from mlops.training.tuning import SearchResult, Trial, tune

# Between attempts to record a candidate.
RECORD_PAUSES_SECONDS = (1, 5, 20)

Variables = Mapping[str, Any]
Fan = list[list[dict[str, Any]]]


class CandidateItem(Reference):
    """What one child is asked to do; pins the data products for all children of a run."""

    family: str
    training_set: str  # folder of the snapshot
    history: str  # file with what is known of the past when validation begins


class CandidateReport(Reference):
    """What one child says of its work; the model itself is in MLflow."""

    family: str
    status: Literal["finished", "failed"]
    baseline: bool
    seconds: float
    run_id: str = ""  # MLflow run
    trials: int = 0
    validation_rmse: float | None = None
    error: str = ""


def families(training_set: Any, route_statistics: Any, variables: Variables) -> Fan:
    """Yield one child per scikit-learn family and baseline (a Mage dynamic block's output)."""
    settings = load_settings(variables, strict=False)
    names = families_to_train(settings.training)
    return _fan(names, training_set, route_statistics, variables, settings)


def objectives(training_set: Any, route_statistics: Any, variables: Variables) -> Fan:
    """Yield one child per XGBoost objective (a Mage dynamic block's output)."""
    settings = load_settings(variables, strict=False)
    return _fan(settings.training.objectives, training_set, route_statistics, variables, settings)


def _fan(
    names: Sequence[str],
    training_set: Any,
    route_statistics: Any,
    variables: Variables,
    settings: Settings,
) -> Fan:
    check_training(settings.training)  # before any child starts, no matter what started the run
    # The longest first: none of them is then left to run alone at the end.
    names = sorted(names, key=lambda name: -family_of(name).cost)
    manifest = training_set_from(training_set, variables)
    routes = route_statistics_for(manifest, route_statistics, variables, settings)
    items = [
        CandidateItem(family=name, training_set=manifest.uri, history=routes.at_validation)
        for name in names
    ]
    return [
        [item.model_dump(mode="json") for item in items],
        [{"block_uuid": item.family} for item in items],
    ]


def tune_and_train(candidate: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Search, fit and record one candidate.

    A failure is returned in the report instead of raised, so that it costs its siblings nothing;
    `collect` decides what it means, and `mlops.orchestration.runs.setbacks` makes it look failed.
    """
    item = CandidateItem.model_validate(candidate)
    started = time.monotonic()
    try:
        settings = load_settings(variables, strict=False)
        with threadpool_limits(threads(settings)):
            report = _train(item, settings, variables, started)
    except Exception as error:  # any library may raise anything here: the report carries it
        traceback.print_exc()
        report = CandidateReport(
            family=item.family,
            status="failed",
            baseline=family_of(item.family).baseline,
            seconds=time.monotonic() - started,
            error=f"{type(error).__name__}: {error}",
        )
        progress.report(f"failed: {report.error.splitlines()[0]}")
        _record_failure(item, report.error, variables)
    return report.model_dump(mode="json")


def _record_failure(item: CandidateItem, error: str, variables: Variables) -> None:
    """Let MLflow show the failure; if that fails as well, the siblings go on all the same."""
    try:
        settings = load_settings(variables, strict=False)
        data_hash = load_manifest(Path(item.training_set)).sha256
        log_failed_candidate(settings, item.family, data_hash, error, variables)
    except Exception:  # whatever made the candidate fail may fail here as well
        traceback.print_exc()


def _train(
    item: CandidateItem, settings: Settings, variables: Variables, started: float
) -> CandidateReport:
    manifest = load_manifest(Path(item.training_set))
    train, validation = read_window(manifest, "train"), read_window(manifest, "validation")
    dataset = dataset_of(settings)
    encoder = dataset.encoder(train, dataset.history(Path(item.history)))
    best = float("inf")

    def on_trial(trial: Trial) -> None:
        nonlocal best
        best = min(best, trial.rmse if trial.rmse is not None else best)
        progress.report(
            "search", trial=trial.number + 1, trials=settings.training.max_evals, best_rmse=best
        )

    search = tune(
        item.family,
        train,
        validation,
        encoder,
        dataset.target,
        settings.training,
        threads(settings),
        on_trial,
    )
    model = search.model
    predicted = model.predict_point(validation)
    metrics = regression_metrics(validation[dataset.target].to_numpy(), predicted)
    receipt = collect_receipt(
        manifest,
        item.family,
        search.best_params,
        settings,
        variables=variables,
        threads=threads(settings),
    )
    run_id = _recorded(
        settings,
        manifest=manifest,
        search=search,
        model=model,
        metrics=metrics,
        receipt=receipt,
        insight=insight_or_none(model, validation, dataset, predicted, "validation", search),
    )
    progress.report("trained", rmse=metrics.rmse, mae=metrics.mae)
    return CandidateReport(
        family=item.family,
        status="finished",
        baseline=family_of(item.family).baseline,
        seconds=time.monotonic() - started,
        run_id=run_id,
        trials=len(search.trials),
        validation_rmse=metrics.rmse,
    )


def insight_or_none(
    model: TabularModel,
    rows: pd.DataFrame,
    dataset: Dataset,
    predicted: npt.ArrayLike,
    window: WindowName,
    search: SearchResult | None = None,
) -> Insight | None:
    """Look into a model as `gain_insight` does; a picture of it must not cost the model."""
    try:
        return gain_insight(model, rows, dataset, predicted, window, search)
    except Exception:  # any library may raise anything here
        traceback.print_exc()
        print(f"{model.family}: its dashboards have no explanations, see above")
        return None


def _recorded(settings: Settings, pauses: Sequence[float] | None = None, **candidate: Any) -> str:
    """Record a candidate; a hiccup of the record must not cost the search it would hold."""
    pauses = RECORD_PAUSES_SECONDS if pauses is None else pauses
    try:
        return log_candidate(settings, **candidate)
    except RegistryError as error:
        if not pauses:
            raise
        print(f"{error.message}; trying again in {pauses[0]} s")
        time.sleep(pauses[0])
    return _recorded(settings, pauses[1:], **candidate)


def collect(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Gather the children's reports; returns them ranked by validation RMSE.

    Raises:
        PipelineFailureError: If every child failed, with each cause.
    """
    parsed = [CandidateReport.model_validate(report) for report in reports]
    finished = sorted(
        (report for report in parsed if report.status == "finished"),
        key=lambda report: report.validation_rmse or 0.0,
    )
    failed = [report for report in parsed if report.status == "failed"]
    if not finished:
        causes = "\n".join(f"  {report.family}: {report.error}" for report in failed)
        raise PipelineFailureError(
            f"none of {counted(len(failed), 'candidate')} was trained:\n{causes}",
            "read the log of a child block; fix the cause; run `mlops run --resume`",
        )
    for report in failed:
        print(f"{report.family} failed and is left out: {report.error}")
    return {"candidates": [report.model_dump(mode="json") for report in [*finished, *failed]]}


def threads(settings: Settings) -> int:
    """Threads that one child may use: the setting, or the cores divided by the workers."""
    if settings.training.threads:
        return settings.training.threads
    return max(1, len(os.sched_getaffinity(0)) // settings.engine.workers)
