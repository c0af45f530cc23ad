"""From what a person names to a written report: gather, write, log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import ConfigurationError, MlopsError, RegistryError, cause_of
from mlops.reports.document import Document
from mlops.reports.writing import log_report, write_report
from mlops.settings import Settings


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Attributes:
        kind: What it is about.
        title: Of the document.
        path: Where it lies.
        logged: Where it lies in MLflow; empty if it was not logged.
        not_logged: Then, why.
    """

    kind: str
    title: str
    path: Path
    logged: str = ""
    not_logged: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class Plan:
    """A report to be written.

    Attributes:
        document: What it says.
        file: Its name.
        run_id: MLflow run it belongs to; empty if there is none.
    """

    document: Document
    file: str
    run_id: str


def make_report(
    settings: Settings, kind: str, name: str = "", output: Path | None = None
) -> WrittenReport:
    """Write a report and log it.

    A report that cannot be logged is written all the same.

    Args:
        settings: Say where everything is.
        kind: What it is about: ``run``, ``window`` or ``model``.
        name: Which one; by default the last run, the latest window, the champion.
        output: The file to write; by default one below `settings.reports`.

    Raises:
        ConfigurationError: If there is no such kind, run, window or version, or nothing yet to
            report on.
        MlopsError: If the file cannot be written.
    """
    plans = {"run": plan_run, "window": plan_window, "model": plan_model}
    if kind not in plans:
        raise ConfigurationError(
            f"there is no report of {kind!r}", f"choose one of: {', '.join(plans)}"
        )
    plan = plans[kind](settings, name)
    path = (output or settings.reports / plan.file).expanduser().resolve()
    title = f"{plan.document.kind}: {plan.document.title}"
    try:
        html = write_report(plan.document, path)
    except OSError as error:
        raise MlopsError(
            f"{path}: cannot be written: {cause_of(error)}", "choose --output FILE"
        ) from error
    if not plan.run_id:
        return WrittenReport(kind, title, path, not_logged="it belongs to no run")
    try:
        return WrittenReport(
            kind, title, path, logged=log_report(settings, plan.run_id, plan.file, html)
        )
    except RegistryError as error:
        return WrittenReport(kind, title, path, not_logged=error.message)


def plan_model(settings: Settings, name: str) -> Plan:
    """Plan the card of a version, by default of the champion."""
    from mlops.reports.gathering import gather_card
    from mlops.reports.model_card import model_card

    facts = gather_card(settings, name or "champion")
    return Plan(model_card(facts), f"model-v{facts.info.version}.html", facts.info.run_id)


def plan_run(settings: Settings, name: str) -> Plan:
    """Plan the report of a model selection, by default of the last one."""
    from mlops.reports.gathering import gather_selection
    from mlops.reports.training_run import training_run

    facts = gather_selection(settings, name)
    outcome = facts.selection.outcome
    run_id = outcome.run_id if outcome else ""
    return Plan(training_run(facts), f"run-{facts.selection.run}.html", run_id)


def plan_window(settings: Settings, name: str) -> Plan:
    """Plan the report of a monitored window, by default of the latest."""
    from mlops.reports.gathering import gather_window
    from mlops.reports.monitoring_window import monitoring_window

    facts = gather_window(settings, name)
    run_id = facts.info.run_id if facts.info else ""
    return Plan(monitoring_window(facts), f"window-{facts.record.window}.html", run_id)
