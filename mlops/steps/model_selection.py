"""Second half of `model_selection`: choose, judge, register.

The winner is chosen by its validation RMSE; the test window only judges it. Ranking by test would
make the gate's own measurement optimistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from mlops import progress
from mlops.data.origins import replacement
from mlops.data.references import Reference, TrainingSetManifest
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.dataset import Dataset
from mlops.datasets.opening import dataset_of
from mlops.errors import DamagedFileError, MlopsError, PipelineFailureError
from mlops.evaluation.evaluate import gather_evidence
from mlops.evaluation.gate import judge
from mlops.evaluation.results import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.notifications import events
from mlops.records.files import write_record
from mlops.registry.receipts import IntervalOrigin, Receipt, collect_receipt
from mlops.registry.searches import FailedCandidate, failed_candidates
from mlops.registry.selections import (
    Compared,
    Selection,
    SelectionOutcome,
    note_outcome,
    write_selection,
)
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry, VersionInfo
from mlops.settings import YES, Settings, load_settings
from mlops.steps.candidates import RefitReport, training_runs
from mlops.steps.reports import leave_report
from mlops.steps.training import Variables, insight_or_none, threads
from mlops.training.artifact import TabularModel
from mlops.training.families import QUANTILES_FAMILY, family_of
from mlops.training.refitting import refit


class Judgement(Reference):
    """The gate's verdict, and all that registering needs."""

    candidates: tuple[RefitReport, ...]  # best validation RMSE first, failures last
    untrained: tuple[FailedCandidate, ...] = ()  # whose training failed
    winner: str
    model: str  # file of the winner, with its prediction interval
    verdict: Verdict
    receipt: Receipt
    evaluation: Evaluation
    champion: int | None  # version compared with


def judge_candidates(
    candidates: Sequence[Mapping[str, Any]], variables: Variables
) -> dict[str, Any]:
    """Let the gate compare the best candidate with the champion; returns a `Judgement`.

    Raises:
        PipelineFailureError: If no candidate could be evaluated, with each cause.
    """
    settings = load_settings(variables, strict=False)
    reports = [RefitReport.model_validate(report) for report in candidates]
    finished = sorted(
        (report for report in reports if report.status == "finished"),
        key=lambda report: report.validation_rmse,
    )
    failed = tuple(report for report in reports if report.status == "failed")
    if not finished:
        causes = "\n".join(f"  {report.family}: {report.error}" for report in failed)
        raise PipelineFailureError(f"no candidate could be evaluated:\n{causes}", "read the logs")
    learned = [report for report in finished if not report.baseline]
    winner = (learned or finished)[0]
    manifest = load_manifest(Path(winner.training_set))
    dataset = dataset_of(settings)
    model, interval = _with_interval(winner, finished, manifest, dataset, settings)
    receipt = collect_receipt(
        manifest,
        winner.family,
        winner.params,
        settings,
        variables=variables,
        threads=threads(settings),
        interval=interval,
    )
    path = Path(winner.model).with_name("winner.model")
    model.save(path)

    test = read_window(manifest, "test")
    registry = Registry(settings)
    champion = registry.champion()
    mismatch = replacement(
        receipt.origin, champion.origin if champion else None, allow=settings.allow_mismatch
    )
    champion_evidence = None
    with threadpool_limits(threads(settings)):
        progress.report("measuring the winner", family=winner.family)
        challenger = gather_evidence(model, test, dataset, settings.evaluation, receipt.gaps)
        if champion is not None and mismatch is None:
            progress.report("measuring the champion", version=champion.version)
            champion_model, _ = registry.load(champion.version)
            champion_evidence = gather_evidence(champion_model, test, dataset, settings.evaluation)
    untrained = failed_candidates(settings, manifest.sha256, training_runs(variables))
    baselines = [r.metrics.rmse for r in finished if r.baseline and r.metrics is not None]
    baseline = min(baselines, default=None)
    verdict = judge(challenger, champion_evidence, baseline, settings.gate, mismatch)
    _remember(verdict, settings)
    selection = Selection(
        run=_run(variables),
        at=datetime.now(timezone.utc),
        candidates=(*map(_compared, (*finished, *failed)), *map(_not_compared, untrained)),
        winner=winner.family,
        champion=champion.version if champion else None,
        verdict=verdict,
        receipt=receipt,
        evaluation=challenger.evaluation,
    )
    write_selection(settings, selection)
    print(verdict.table())
    progress.report(verdict.summary)
    return Judgement(
        candidates=(*finished, *failed),
        untrained=untrained,
        winner=winner.family,
        model=str(path),
        verdict=verdict,
        receipt=receipt,
        evaluation=challenger.evaluation,
        champion=champion.version if champion else None,
    ).model_dump(mode="json")


def _with_interval(
    winner: RefitReport,
    finished: Sequence[RefitReport],
    manifest: TrainingSetManifest,
    dataset: Dataset,
    settings: Settings,
) -> tuple[TabularModel, IntervalOrigin]:
    """Give the winner a prediction interval; returns it with where the interval comes from.

    It is that of the candidate of quantiles. Where none took part, one is fitted with the family's
    defaults: errors of the winner alone cover some slices two times in three.
    """
    model = _staged(winner.model)
    quantiles = next((report for report in finished if report.family == QUANTILES_FAMILY), None)
    fit = {"seed": settings.training.seed, "threads": threads(settings)}
    if quantiles:
        bounds = _staged(quantiles.model)
    else:
        progress.report("fitting quantiles for the interval")
        bounds = refit(manifest, dataset, lambda rows: model.encoder, QUANTILES_FAMILY, {}, **fit)
    origin = IntervalOrigin(family=bounds.family, params=dict(bounds.params), **fit)
    return model.with_interval_of(bounds), origin


def _staged(file: str) -> TabularModel:
    """Read a model that an earlier block of the run wrote."""
    try:
        return TabularModel.load(Path(file))
    except MlopsError as error:
        raise DamagedFileError(
            error.message, "refit all candidates: mlops pipeline run model_selection", Path(file)
        ) from error


def _compared(report: RefitReport) -> Compared:
    return Compared(**report.model_dump(include=set(Compared.model_fields)))


def _not_compared(candidate: FailedCandidate) -> Compared:
    return Compared(
        family=candidate.family,
        baseline=family_of(candidate.family).baseline,
        validation_rmse=None,
        trials=0,
        seconds=0,
        run_id="",
        metrics=None,
        error=candidate.error,
    )


def _run(variables: Variables) -> str:
    return str(variables.get("pipeline_run_id") or "editor")


def _remember(verdict: Verdict, settings: Settings) -> None:
    write_record(settings.last_verdict, verdict)


def register(judgement: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Register a winner that passed as challenger; promote it when allowed.

    It becomes champion if there is none yet, if it learned from real rows and the champion from
    synthetic ones, or if the run was asked to ``promote`` and the champion is still the one that
    the gate compared with. A refused model is not registered: its verdict and its MLflow run
    remain.
    """
    settings = load_settings(variables, strict=False)
    judged = Judgement.model_validate(judgement)
    registry = Registry(settings)
    champion = registry.champion()
    by = str(variables.get("pipeline_uuid", ""))
    if not judged.verdict.passed:
        rules = {"rules": ", ".join(judged.verdict.refused_by)}
        events.refused(settings, judged.winner, judged.verdict.summary, by, facts=rules)
        stays = f"; version {champion.version} stays champion" if champion else ""
        summary = f"nothing registered: {judged.winner} was refused{stays}"
        refused = next(c.run_id for c in judged.candidates if c.family == judged.winner)
        outcome = SelectionOutcome(version=None, promoted=False, run_id=refused, summary=summary)
        note_outcome(settings, _run(variables), outcome)
        leave_report(settings, "run", _run(variables))
        return {
            "version": None,
            "promoted": False,
            "champion": champion.version if champion else None,
            "summary": summary,
        }
    manifest = load_manifest(Path(judged.candidates[0].training_set))
    model, test = _staged(judged.model), read_window(manifest, "test")
    run_id = log_candidate(
        settings,
        manifest=manifest,
        model=model,
        insight=insight_or_none(
            model, test, dataset_of(settings), model.predict_point(test), "test"
        ),
        metrics=judged.evaluation.metrics,
        receipt=judged.receipt,
        stage="refit",
    )
    version = registry.register(run_id, judged.receipt, judged.evaluation, judged.verdict)
    reason = _reason_to_promote(judged, champion, variables)
    summary = f"version {version} ({judged.winner}) is challenger"
    if reason:
        promotion = registry.promote(version, reason=reason, by=by)
        events.promoted(settings, version, promotion.previous, reason, by)
        summary = f"version {version} ({judged.winner}) is champion ({reason})"
    elif champion is not None and champion.version != judged.champion:
        summary += (
            f"; version {champion.version} has become champion since the gate compared it with "
            f"version {judged.champion}; run the gate again: mlops pipeline run model_selection"
        )
    elif champion is not None:
        summary += f"; version {champion.version} stays champion (promote with --promote)"
    promote = bool(reason)
    outcome = SelectionOutcome(version=version, promoted=promote, run_id=run_id, summary=summary)
    note_outcome(settings, _run(variables), outcome)
    leave_report(settings, "run", _run(variables))
    leave_report(settings, "model", str(version))
    return {
        "version": version,
        "promoted": promote,
        "champion": version if promote else champion.version if champion else None,
        "summary": summary,
    }


def _reason_to_promote(
    judged: Judgement, champion: VersionInfo | None, variables: Variables
) -> str:
    """Return why the winner becomes champion at once; empty if it does not."""
    if champion is None:
        return "the first model that passed the gate"
    if champion.version != judged.champion:  # somebody deployed or rolled back meanwhile
        return ""
    learned = judged.receipt.origin
    if champion.origin == learned._replace(synthetic=True) and not learned.synthetic:
        return "the first model of real rows that passed the gate"
    return "--promote" if variables.get("promote") in YES else ""
