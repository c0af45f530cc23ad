"""First half of `model_selection`: refit every candidate and measure it on the test window."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from mlops import progress
from mlops.data.references import Reference
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError, PipelineFailureError
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.results import Metrics
from mlops.registry.searches import Candidate, finished_candidates
from mlops.settings import Settings, load_settings
from mlops.steps.products import route_statistics_for, training_set_from
from mlops.steps.training import Fan, Variables, threads
from mlops.training.artifact import TabularModel
from mlops.training.families import family_of
from mlops.training.refitting import refit


class RefitItem(Reference):
    """What one child is asked to do."""

    family: str
    run_id: str  # MLflow run of the candidate: its parameters and its model
    params: dict[str, Any]
    validation_rmse: float
    trials: int
    training_set: str
    history: str  # file with what is known of the past when test begins


class RefitReport(Reference):
    """One candidate after the refit on train + validation, measured on test."""

    family: str
    status: Literal["finished", "failed"]
    baseline: bool
    validation_rmse: float
    trials: int
    seconds: float
    run_id: str
    params: dict[str, Any]
    training_set: str
    metrics: Metrics | None = None
    model: str = ""  # file of the refitted model
    error: str = ""


def newest_candidates(training_set: Any, route_statistics: Any, variables: Variables) -> Fan:
    """Yield one child per family: its newest finished candidate on this very training set.

    With the variable ``training_runs`` only candidates of those pipeline runs take part. Otherwise
    candidates of any earlier run do, which is reported; those of a family that the code no longer
    has are left out.

    Raises:
        PipelineFailureError: If no candidate was trained on this training set.
    """
    settings = load_settings(variables, strict=False)
    manifest = training_set_from(training_set, variables)
    routes = route_statistics_for(manifest, route_statistics, variables, settings)
    found = [
        candidate
        for candidate in finished_candidates(settings, manifest.sha256, training_runs(variables))
        if _is_known(candidate)
    ]
    if not found:
        raise PipelineFailureError(
            f"no candidate was trained on training set {manifest.sha256[:12]}",
            "run sklearn_training or xgboost_training first, or everything: mlops run",
        )
    items = [
        RefitItem(
            family=candidate.family,
            run_id=candidate.run_id,
            params=candidate.params,
            validation_rmse=candidate.validation_rmse,
            trials=candidate.trials,
            training_set=manifest.uri,
            history=routes.at_test,
        )
        # The longest first, as in training.
        for candidate in sorted(found, key=lambda candidate: -family_of(candidate.family).cost)
    ]
    return [
        [item.model_dump(mode="json") for item in items],
        [{"block_uuid": item.family} for item in items],
    ]


def training_runs(variables: Variables) -> tuple[str, ...]:
    """Return the pipeline runs whose candidates take part; empty: those of any run."""
    named = str(variables.get("training_runs") or "")
    return tuple(run.strip() for run in named.split(",") if run.strip())


def _is_known(candidate: Candidate) -> bool:
    """Tell whether the code still has a candidate's family, and say where the candidate is from."""
    receipt = candidate.receipt
    run = f"run {receipt.pipeline_run_id} of {receipt.pipeline}" if receipt.pipeline else "no run"
    try:
        family_of(candidate.family)
    except ConfigurationError:
        progress.report(
            f"{candidate.family} is left out: the code no longer has this family",
            trained_by=run,
        )
        return False
    print(f"{candidate.family}: trained by {run}, MLflow run {candidate.run_id}")
    return True


def refit_and_evaluate(candidate: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Refit one candidate on train + validation and measure it on test.

    A failure is returned in the report, so that it costs the other candidates nothing.
    """
    item = RefitItem.model_validate(candidate)
    started = time.monotonic()
    report: dict[str, Any] = {
        **item.model_dump(exclude={"history"}),
        "baseline": family_of(item.family).baseline,
    }
    try:
        settings = load_settings(variables, strict=False)
        with threadpool_limits(threads(settings)):
            model, metrics = _refit(item, settings)
        path = _model_path(settings, variables, item.family)
        model.save(path)
        progress.report("evaluated on test", rmse=metrics.rmse, mae=metrics.mae)
        report |= {"status": "finished", "metrics": metrics, "model": str(path)}
    except Exception as error:  # any library may raise anything here: the report carries it
        traceback.print_exc()
        report |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    report["seconds"] = time.monotonic() - started
    return RefitReport.model_validate(report).model_dump(mode="json")


def _refit(item: RefitItem, settings: Settings) -> tuple[TabularModel, Metrics]:
    manifest = load_manifest(Path(item.training_set))
    dataset = dataset_of(settings)
    past = dataset.history(Path(item.history))
    model = refit(
        manifest,
        dataset,
        lambda rows: dataset.encoder(rows, past),
        item.family,
        item.params,
        seed=settings.training.seed,
        threads=threads(settings),
    )
    test = read_window(manifest, "test")
    return model, regression_metrics(test[dataset.target].to_numpy(), model.predict_point(test))


def _model_path(settings: Settings, variables: Variables, family: str) -> Path:
    run = str(variables.get("pipeline_run_id", "editor"))
    return settings.staging / "selection" / run / f"{family}.model"
