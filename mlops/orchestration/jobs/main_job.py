"""The main job: data products, both trainings, selection and predictions, in order, resumable.

Every stage is a run of a real Mage pipeline. A small journal under the home remembers which run
belongs to which stage, so that a killed job continues where it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops.data.origins import TripOrigin, replacement, require_scoring
from mlops.data.store.manifests import current_training_set
from mlops.data.store.publications import reason_to_build
from mlops.datasets.declared.months import with_months
from mlops.errors import ConfigurationError, GateRefusalError
from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.jobs.journal import Job, Journal, decides_the_data, resume_command
from mlops.orchestration.jobs.stages import STAGES, wanted
from mlops.orchestration.runs.contract import Event, PipelineRequest, PipelineResult, RunStarted
from mlops.orchestration.runs.failures import require_success
from mlops.orchestration.runs.lock import DECISION_SECONDS, HomeLock
from mlops.orchestration.runs.naming import product_lock
from mlops.registry.connection import ensure_tracking
from mlops.registry.listing import find_version
from mlops.registry.tracking import close_abandoned_runs
from mlops.registry.trail import CHAMPION
from mlops.registry.versions import Registry
from mlops.settings import DEFAULT_DATASET, Settings

# Imported once before blocks are forked; each child would pay these seconds again.
PRELOAD = (
    "mlops.steps.batch_inference",
    "mlops.steps.data_preparation",
    "mlops.steps.model_selection",
    "mlops.steps.profiles",
    "mlops.steps.training",
    "mlops.training.linear",
    "git",  # by MLflow, for each model it logs
    "hyperopt",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas.tseries.holiday",
    "pandera.pandas",
    "scipy.optimize",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.svm",
    "xgboost",
)


@dataclass(frozen=True)
class MainJobResult:
    """The runs of a main job, by pipeline."""

    results: Mapping[str, PipelineResult]

    @property
    def failed_candidates(self) -> dict[str, str]:
        """Why candidates failed whose siblings went on, by pipeline and block."""
        return {
            f"{result.pipeline}, {block.block}": block.error.partition(": ")[2]
            for result in self.results.values()
            if result.survived
            for block in result.failed_blocks
        }


def run_main_job(
    settings: Settings,
    job: Job,
    on_event: Callable[[Event], None],
    *,
    rebuild: bool = False,
) -> MainJobResult:
    """Drive what is left of a job's stages through Mage.

    Args:
        settings: The configuration in force; to resume, the one of the job's own variables.
        job: What is asked, from `begin_job`.
        on_event: Called with each event of a run, block and step.
        rebuild: Build the training set even if the published one answers the request.

    Raises:
        PipelineFailureError: If a stage fails, naming the block, its error and its log.
    """
    if settings.dataset != DEFAULT_DATASET:
        settings = with_months(settings)
    journal, changed = job.journal, job.changed
    before = set(journal.finished)
    driven: set[str] = set()  # pipelines that this process has run something of
    # Until our build has begun, nobody else shall find that one is due.
    deciding = HomeLock(settings.state / product_lock("training_set"), "mlops run")

    def record(event: Event) -> None:
        if isinstance(event, RunStarted):
            deciding.release()
            driven.add(event.pipeline)
            journal.runs[event.pipeline] = event.run_id
            journal.write()
        on_event(event)

    # An unreachable registry is reported now, not after the search; and children inherit what
    # it takes to reach it.
    ensure_tracking(settings)
    engine = Engine(settings, on_event=record, preload=PRELOAD, lock=job.lock)
    results: dict[str, PipelineResult] = {}
    with engine, contextlib.ExitStack() as at_the_end:
        at_the_end.callback(deciding.release)
        if job.resumed:
            # A run may have been created just before the kill, too late for the journal.
            for stale in engine.stale_runs():
                journal.runs.setdefault(stale.pipeline, stale.run_id)
            if any(decides_the_data(name) for name in changed):
                engine.cancel(journal.runs.pop("data_preparation", None))
        close_abandoned_runs(settings)
        resumed = bool(journal.runs)
        reason = "resumed" if resumed else _reason_to_build(settings, engine, rebuild, deciding)
        if not reason:
            journal.finished.append("data_preparation")
        for stage in STAGES:
            if driven:  # what had ended before, and reads what has just run again, is out of date
                for name in before.intersection(stage):
                    journal.forget(name)
            # What is finished is asked again all the same: its result comes from its run.
            names = [
                name
                for name in wanted(stage, settings)
                if name in journal.runs or name not in journal.finished
            ]
            extra = {}
            if "model_selection" in names:  # earlier jobs' candidates take no part
                runs = (str(results[name].run_id) for name in STAGES[2] if name in results)
                extra = {"training_runs": ",".join(runs)}
            for result in _drive(engine, names, journal, settings, changed, extra):
                results[result.pipeline] = result
                if not result.survived:
                    require_success(result, resume_command(settings))
                journal.finished.append(result.pipeline)
            journal.write()
            if "model_selection" not in names:
                continue
            if not _has_champion(results["model_selection"]) or _cannot_be_scored(settings):
                break  # nothing can predict these rows: no champion, or one of other rows
    return MainJobResult(results)


def objection(settings: Settings, *, promote: bool) -> str:
    """Say why what this job learns cannot replace the champion; empty if it can.

    Raises:
        GateRefusalError: If that is what is asked for, before any work is done.
    """
    champion = find_version(settings, CHAMPION)  # without MLflow, which takes seconds to load
    learned = _origin(settings)
    known = champion.origin if champion else None
    mismatch = replacement(learned, known, allow=settings.allow_mismatch)
    if champion is None or mismatch is None or mismatch.allowed:
        return ""
    text = (
        f"version {champion.version} is champion and learned from {known}; what this job learns "
        f"from {learned} cannot replace it"
    )
    if promote:
        raise GateRefusalError(
            f"--promote: {text}",
            "use another home (MLOPS_HOME) or model (--set tracking.model_name=NAME) for these "
            "rows, or add --allow-mismatch",
        )
    return text


def _origin(settings: Settings) -> TripOrigin:
    """Return where the rows of a job come from, which is known before they are read."""
    if settings.dataset != DEFAULT_DATASET:
        return TripOrigin("", synthetic=False, dataset=settings.dataset)
    return TripOrigin(settings.source.series, settings.source.kind == "sample")


def _cannot_be_scored(settings: Settings) -> bool:
    """Tell whether the champion knows nothing of this job's rows: there is nothing to predict."""
    manifest = current_training_set(settings)
    champion = Registry(settings).champion()
    if manifest is None or champion is None or champion.origin is None:
        return False
    asked = manifest.extraction.origin
    try:
        require_scoring(champion.origin, asked, "", allow=settings.allow_mismatch)
    except ConfigurationError:
        return True
    return False


def _has_champion(selection: PipelineResult) -> bool:
    return selection.output("register_challenger")["champion"] is not None


def _drive(
    engine: Engine,
    names: list[str],
    journal: Journal,
    settings: Settings,
    changed: Mapping[str, Any],
    extra: Mapping[str, str],
) -> tuple[PipelineResult, ...]:
    started = [name for name in names if name in journal.runs]
    fresh = [name for name in names if name not in journal.runs]
    resumed = tuple(engine.resume(journal.runs[name], changed) for name in started)
    if not fresh:
        return resumed
    # The source this job was started with, defaults included: not the one the champion remembers.
    source = settings.source.model_dump(mode="json")
    variables = {
        **journal.variables,
        **{f"source.{name}": v for name, v in source.items()},
        **extra,
    }
    return (*resumed, *engine.run(*(PipelineRequest(name, variables) for name in fresh)))


def _reason_to_build(settings: Settings, engine: Engine, rebuild: bool, deciding: HomeLock) -> str:
    """Say why the training set must be built, with the decision held until that has begun.

    What somebody else is building may be what is asked for: it is waited for.
    """
    while True:
        deciding.acquire(DECISION_SECONDS)
        reason = "--rebuild" if rebuild else reason_to_build(settings)
        if not reason and not engine.product_is_fresh("training_set"):
            reason = "outdated"
        other = None if rebuild or not reason else engine.build_in_progress("training_set")
        if reason and other is None:
            return reason
        deciding.release()
        if other is None:
            return ""
        engine.wait_for(other)
