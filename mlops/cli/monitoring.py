"""`mlops monitor`: is what the champion answers still right, and if not, what is to be done?"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from mlops.cli.display import RunDisplay, show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, overrides_from
from mlops.errors import ConfigurationError, MonitoringError
from mlops.settings import Settings, load_settings

if TYPE_CHECKING:
    from mlops.monitoring.findings.records import DecisionRecord, WindowRecord
    from mlops.monitoring.findings.report import Finding

CODES = (
    "Exit codes: 0 measured, and the action that was due is started · 2 no such window, or a "
    "wrong option · 3 rows could not be read · 6 the pipeline failed · 7 another run holds the "
    "lock · 8 registry problem · 12 a retraining or rollback is due but was not started"
)
LAST = 20
REASONS = 8


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    shown = examples(
        "mlops monitor",
        "mlops monitor --no-act",
        "mlops monitor --list",
        "mlops monitor v3-served-20240301T000000",
    )
    app.command("monitor", epilog=f"{shown}\n\n{CODES}")(monitor)


def monitor(
    window: Annotated[
        str,
        typer.Argument(
            metavar="[WINDOW]", help="A window whose findings are shown, without measuring."
        ),
    ] = "",
    list_: Annotated[
        bool, typer.Option("--list", help="Only show the last windows and decisions.")
    ] = False,
    no_act: Annotated[
        bool, typer.Option("--no-act", help="Start no action; only report which one is due.")
    ] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Measure drift, errors and data quality of new answers, and start the action that is due.

    Actions start in the servers of `mlops up`; without them, the command to run is shown.
    """
    overrides = overrides_from(set_, {"monitoring.act": False if no_act else None})
    settings = load_settings(overrides)
    if window:
        _show_window(settings, window, as_json)
    elif list_:
        _show_past(settings, as_json)
    else:
        _look(settings, overrides, as_json)


def _look(settings: Settings, overrides: dict[str, Any], as_json: bool) -> None:
    from mlops.orchestration.engine.engine import require_free

    require_free(settings)
    console = terminal(stderr=as_json)
    console.print("[dim]loading Mage …[/]")

    from mlops.monitoring.findings.deciding import PIPELINES, is_due
    from mlops.orchestration.jobs.monitoring import run_monitoring
    from mlops.registry.remembered import source_in_force

    console.print(source_in_force(settings).summary, markup=False)

    windows, decision = run_monitoring(settings, overrides, RunDisplay(console))
    due = decision if decision is not None and is_due(decision) else None
    if as_json:
        print(json.dumps(_content(windows, [decision] if decision else []), indent=1))
        raise typer.Exit(MonitoringError.exit_code if due else 0)
    console.print()
    empty = "no new window: there are too few new answers (monitoring.min_window_trips)"
    show_rows(window_rows(windows), as_json=False, title="Windows", empty=empty, console=console)
    _tell(decision, console)
    if due:
        raise MonitoringError(
            f"a {PIPELINES[due.decision.step]} is due, but {due.problem}",
            f"by hand: {due.command}",
        )


def _tell(decision: "DecisionRecord | None", console: Console) -> None:
    if decision is None:
        console.print("there is no champion to monitor; train one with: mlops run")
        return
    decided = decision.decision
    held_back = f" ({decided.held_back} held back)" if decided.held_back else ""
    console.print(
        f"Decision [bold]{decided.step}[/]{held_back} on version {decided.champion.version},"
        f" {decided.at:%Y-%m-%d %H:%M %Z}"
    )
    for reason in decided.reasons[:REASONS]:
        console.print(f"  {reason}", markup=False)
    if len(decided.reasons) > REASONS and decided.windows:
        more = len(decided.reasons) - REASONS
        console.print(f"  … and {more} more: mlops monitor {decided.windows[-1].window}")
    if decision.started:
        console.print(f"Started  {decision.started}, run {decision.started_run}: mlops status")


def _show_window(settings: Settings, name: str, as_json: bool) -> None:
    from mlops.monitoring.findings.records import find_window

    record = find_window(settings, name)
    if record is None:
        raise ConfigurationError(
            f"there is no window {name!r}", "list the windows with: mlops monitor --list"
        )
    if as_json:
        print(record.model_dump_json(indent=1))
        return
    console = terminal()
    show_rows(window_rows([record]), as_json=False, console=console)
    worst = record.report.worst
    kinds = dict.fromkeys(finding.kind for finding in record.report.findings)
    quiet = [f for kind in kinds if (f := worst(kind)) and f.outcome == "ok"]
    shown = [*record.report.alarms, *quiet]
    title = "Findings: alarms and near misses"
    show_rows([_finding(f) for f in shown], as_json=False, title=title, console=console)
    console.print(f"{len(record.report.findings) - len(shown)} more: mlops monitor {name} --json")


def _show_past(settings: Settings, as_json: bool) -> None:
    from mlops.monitoring.findings.records import read_decisions, read_windows

    windows = read_windows(settings, whole=LAST)[-LAST:]
    decisions = read_decisions(settings)[-LAST:]
    if as_json:
        print(json.dumps(_content(windows, decisions), indent=1))
        return
    empty = "no window has been measured yet; measure now with: mlops monitor"
    found = [{**_summary(record), "worst": _first(record)} for record in windows]
    show_rows(found, as_json=False, title="Windows, the latest last", empty=empty)
    rows = [
        {
            "at": f"{record.decision.at:%Y-%m-%d %H:%M}",
            "version": record.decision.champion.version,
            "decision": record.decision.step,
            "held_back": record.decision.held_back or "",
            "why": record.decision.reasons[0],
            "started": f"{record.started} {record.started_run}" if record.started else "",
            "not_started": record.problem,
        }
        for record in decisions
    ]
    show_rows(rows, as_json=False, title="Decisions, the latest last", empty="no decision yet")


def window_rows(windows: "Sequence[WindowRecord]") -> list[dict[str, Any]]:
    """Describe windows, one row each."""
    return [{**_summary(r), "worst_of_each_kind": "\n".join(_worst(r))} for r in windows]


def _summary(record: "WindowRecord") -> dict[str, Any]:
    return {
        "window": record.window,
        "rows": record.trips,
        "labelled": record.labelled,
        **_errors(record),
        "alarms": len(record.report.alarms),
    }


def _first(record: "WindowRecord") -> str:
    return next(iter(record.report.reasons), "no alarm")


def _errors(record: "WindowRecord") -> dict[str, str]:
    from mlops.monitoring.findings.measurements import ALL_ROWS

    wanted = ("performance", ALL_ROWS, "rmse")
    for found in record.report.findings:
        if (found.kind, found.subject, found.statistic) == wanted:
            around = f" ({found.interval[0]:.2f}–{found.interval[1]:.2f})" if found.interval else ""
            return {"live_RMSE": f"{found.value:.2f}{around}", "expected": f"{found.reference:.2f}"}
    return {"live_RMSE": "", "expected": ""}


def _worst(record: "WindowRecord") -> Iterator[str]:
    """Say the worst of each kind that has an alarm, and which kinds have none."""
    report = record.report
    kinds = dict.fromkeys(finding.kind for finding in report.findings)
    for kind in (kind for kind in kinds if kind in report.violated):
        finding = report.worst(kind)
        yield f"{kind}: {finding.why if finding else ''}"
    quiet = [kind for kind in kinds if kind not in report.violated and report.worst(kind)]
    if quiet:
        yield f"no alarm: {', '.join(quiet)}"


def _finding(finding: "Finding") -> dict[str, Any]:
    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.2%}" if finding.unit == "%" else f"{value:.3g} {finding.unit}".strip()

    interval = finding.interval
    return {
        "kind": finding.kind,
        "subject": finding.subject,
        "statistic": finding.statistic,
        "value": shown(finding.value),
        "interval": f"{shown(interval[0])} – {shown(interval[1])}" if interval else "",
        "expected": shown(finding.reference),
        "limit": shown(finding.limit),
        "rows": finding.rows,
        "outcome": finding.outcome,
    }


def _content(
    windows: "Sequence[WindowRecord]", decisions: "Sequence[DecisionRecord]"
) -> dict[str, Any]:
    return {
        "windows": [window.model_dump(mode="json") for window in windows],
        "decisions": [decision.model_dump(mode="json") for decision in decisions],
    }
