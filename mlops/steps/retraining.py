"""Steps of `retraining`: look for new months; prepare, train, select, deploy, each by its own run.

The steps are given the function that runs a pipeline, so that they know nothing of Mage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from mlops import progress
from mlops.data.store.manifests import current_training_set
from mlops.datasets.declared.months import months_there
from mlops.datasets.opening import dataset_of
from mlops.datasets.taxi.sources.news import months_after
from mlops.errors import ConfigurationError
from mlops.registry.remembered import months_learned, source_in_force
from mlops.registry.standing import model_ids
from mlops.retraining.decision import RetrainingDecision, decide, decide_by_files
from mlops.retraining.records import (
    PendingApproval,
    RetrainingRecord,
    ask_for_approval,
    now,
    read_record,
    write_record,
)
from mlops.settings import ALIASES, DEFAULT_DATASET, YES, Settings, is_setting, load_settings

Variables = Mapping[str, Any]


class Run(Protocol):
    """A finished run of a pipeline."""

    @property
    def run_id(self) -> int:
        """Number of the run."""

    def output(self, block: str) -> Any:
        """Return what a block returned."""


class RunPipeline(Protocol):
    """Runs a pipeline to its end, or raises what made it fail."""

    def __call__(
        self,
        pipeline: str,
        variables: Mapping[str, Any],
        parent: Mapping[str, Any],
    ) -> Run:
        """See `mlops.orchestration.products.children.run_child`."""


def look_for_new_data(variables: Variables) -> dict[str, Any]:
    """Return a `RetrainingDecision`: whether there is something to learn; start the record.

    A run that was given months learns from those, whatever is new. The source is the champion's,
    unless another is given.

    Raises:
        SourceError: If the source cannot be asked.
    """
    source = source_in_force(load_settings(variables, strict=False))
    settings = source.settings
    progress.report(source.summary)
    given = {ALIASES.get(name, name) for name in variables}
    reason = str(variables.get("reason") or "")
    months = settings.source.month_list
    if "source.months" in given:
        decision = RetrainingDecision(
            needed=True, reason=reason or "months were requested", months=months, new_months=()
        )
    else:
        decision = _decide(settings, force=variables.get("force") in YES, reason=reason)
    progress.report(decision.reason, months=len(decision.months))
    moment = now()
    write_record(
        settings,
        RetrainingRecord(
            run_id=_run_id(variables),
            trigger=str(variables.get("trigger_name", "")),
            status="running" if decision.needed else "nothing to do",
            summary=decision.reason,
            decision=decision,
            started_at=moment,
            ended_at=None if decision.needed else moment,
        ),
    )
    return decision.model_dump(mode="json")


def _decide(settings: Settings, *, force: bool, reason: str) -> RetrainingDecision:
    """Compare what the source has with what was learned from."""
    source, had = settings.source, months_learned(settings)
    if settings.dataset == DEFAULT_DATASET:
        new = months_after(source, had[-1], _today()) if had else source.month_list
    else:
        there = months_there(settings)
        if not there:
            return decide_by_files(_changed_files(settings), force=force, reason=reason)
        new = tuple(month for month in there if not had or month > had[-1])
    limit = settings.retraining.max_months
    return decide(had, new, force=force, reason=reason, max_months=limit)


def _changed_files(settings: Settings) -> list[str]:
    """Return the files of a table that the training set in use was not made from."""
    manifest = current_training_set(settings)
    learned = {file.sha256 for file in manifest.extraction.files} if manifest else set()
    files = dataset_of(settings).extract(settings).files
    return [file.name for file in files if file.sha256 not in learned]


def is_needed(decision: Mapping[str, Any]) -> bool:
    """Tell whether to go on after the decision."""
    return RetrainingDecision.model_validate(decision).needed


def prepare(decision: Mapping[str, Any], variables: Variables, run: RunPipeline) -> dict[str, Any]:
    """Build both data products for the months decided on.

    The test window is the last `retraining.test_days`, so that the newest month is learned from,
    too; a run that was given windows of its own keeps those, and a declared table its own split.

    Returns:
        ``training_set``: its hash; ``variables``: what the runs that follow are to be given.
    """
    months = RetrainingDecision.model_validate(decision).months
    asked = load_settings(variables, strict=False)
    given = {
        **source_in_force(asked).overrides(asked),
        **_test_window(variables),
        **_settings_among(variables),
        # A table whose files hold any time has no months: it is read as a whole.
        **({"source.months": ",".join(months)} if months else {}),
    }
    built = run("data_preparation", given, variables)
    run("route_statistics", given, variables)
    return {
        "training_set": built.output("publish_training_set")["sha256"],
        "variables": given,
    }


def train(
    pipeline: str, prepared: Mapping[str, Any], variables: Variables, run: RunPipeline
) -> dict[str, Any]:
    """Run one training, unless nothing is asked of it.

    Returns:
        ``run``: its number, or None; ``pipeline``.
    """
    training = load_settings(prepared["variables"], strict=False).training
    if pipeline == "xgboost_training" and not training.objectives:
        return {"pipeline": pipeline, "run": None}
    return {"pipeline": pipeline, "run": run(pipeline, prepared["variables"], variables).run_id}


def select(
    prepared: Mapping[str, Any],
    trainings: Sequence[Mapping[str, Any]],
    variables: Variables,
    run: RunPipeline,
) -> dict[str, Any]:
    """Let the gate judge the candidates that this retraining has trained.

    Args:
        prepared: What `prepare` returned.
        trainings: What `train` returned for each pipeline.
        variables: Of this run.
        run: Runs a pipeline.

    Returns:
        What `model_selection` registered, its verdict in words, and its candidates.
    """
    runs = ",".join(str(training["run"]) for training in trainings if training["run"] is not None)
    given = {**prepared["variables"], "training_runs": runs}
    selection = run("model_selection", given, variables)
    judged = selection.output("judge_challenger")
    columns = ("family", "validation_rmse", "error")
    return {
        **selection.output("register_challenger"),
        "training_set": prepared["training_set"],
        "verdict": judged["verdict"]["summary"],
        "candidates": [
            {
                **{name: report.get(name) for name in columns},
                "status": report.get("status", "failed"),
                "test_rmse": (report.get("metrics") or {}).get("rmse"),
            }
            for report in (*judged["candidates"], *judged["untrained"])
        ],
    }


def deploy(selection: Mapping[str, Any], variables: Variables, run: RunPipeline) -> dict[str, Any]:
    """Deploy the version that passed, or let it wait for approval, as the policy says.

    Returns:
        ``summary``: what became of it, in words.
    """
    settings = load_settings(variables, strict=False)
    version = selection["version"]
    if version is None or selection["promoted"]:
        return {"summary": selection["summary"]}
    reason = f"retraining: {variables.get('reason') or 'on request'}"
    if settings.deployment.policy == "approve":
        ask_for_approval(
            settings,
            PendingApproval(
                version=version,
                model_id=model_ids(settings).get(version, ""),
                reason=reason,
                verdict=selection["verdict"],
                run_id=_run_id(variables),
                requested_at=now(),
            ),
        )
        return {"summary": f"version {version} waits for approval: mlops approve {version}"}
    deployment = run("deployment", {"version": str(version), "reason": reason}, variables)
    return {"summary": f"version {version} was deployed by run {deployment.run_id}"}


def record(
    selection: Mapping[str, Any], deployment: Mapping[str, Any], variables: Variables
) -> dict[str, Any]:
    """Complete the record of this retraining and return it."""
    settings = load_settings(variables, strict=False)
    begun = read_record(settings, _run_id(variables))
    if begun is None:
        raise ConfigurationError(
            f"the record of run {_run_id(variables)} is missing in {settings.home}",
            "keep MLOPS_HOME the same while a run is in progress",
        )
    changes = {
        "status": "completed",
        "summary": deployment["summary"],
        "training_set": selection["training_set"],
        "candidates": tuple(selection["candidates"]),
        "verdict": selection["verdict"],
        "version": selection["version"],
        "deployment": deployment["summary"],
        "ended_at": now(),
    }
    done = begun.model_copy(update=changes)
    write_record(settings, done)
    progress.report(done.summary)
    return done.model_dump(mode="json")


def _settings_among(variables: Variables) -> dict[str, Any]:
    """Return the overrides of settings that the run was given, but for the months."""
    return {
        name: value
        for name, value in variables.items()
        if is_setting(ALIASES.get(name, name)) and ALIASES.get(name, name) != "source.months"
    }


def _test_window(variables: Variables) -> dict[str, Any]:
    """Return the length of the test window, unless the run was given windows or is to keep them."""
    days = load_settings(variables, strict=False).retraining.test_days
    asked = any(name.startswith("windows.") for name in _settings_among(variables))
    return {} if asked or not days else {"windows.test_days": days}


def _run_id(variables: Variables) -> int:
    return int(variables.get("pipeline_run_id") or 0)


def _today() -> Any:
    return datetime.now(timezone.utc).date()
