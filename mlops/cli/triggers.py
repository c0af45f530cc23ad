"""`mlops triggers`: what starts each pipeline, and the command that starts it from outside."""

import json
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AsJson, examples
from mlops.settings import Settings, load_settings

if TYPE_CHECKING:
    from mlops.orchestration.runs.history import TriggerState
    from mlops.orchestration.triggers.declared import Trigger

NOTES = """A request repeated with the same -H "Idempotency-Key: KEY" starts no second run.
With "skip_if_running": true beside "pipeline_run", it returns a run in progress instead."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "triggers",
        epilog=examples(
            "mlops triggers",
            "mlops triggers --json",
            "mlops triggers --write",
            "mlops triggers --lint",
        ),
    )(triggers)


def triggers(
    show_tokens: Annotated[
        bool, typer.Option("--show-tokens", help="Show the tokens in the commands.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write pipelines/*/triggers.yaml from the code.")
    ] = False,
    lint: Annotated[
        bool,
        typer.Option(
            "--lint", help="Only check for mistakes that would keep triggers from working."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List all triggers: state, next run (UTC), last result and the POST that starts each."""
    from mlops.orchestration.triggers import declared as definitions
    from mlops.orchestration.triggers import lint as trigger_lint

    console = terminal()
    if write:
        changed = definitions.write()
        console.print("\n".join(f"written {path}" for path in changed) or "nothing to write")
    if lint or write:
        trigger_lint.check()
        console.print(f"{len(definitions.project_triggers())} triggers, no mistakes")
        return
    settings = load_settings()
    rows = trigger_rows(settings)
    commands = api_commands(settings, show_tokens=show_tokens)
    questions = state_commands(settings, show_tokens=show_tokens)
    if as_json:
        content = {"triggers": rows, "commands": commands, "state_commands": questions}
        print(json.dumps(content, indent=1, default=str))
        return
    show_rows(rows, as_json=False, title=f"Triggers ({settings.environment})", console=console)
    if not commands:
        console.print("The commands that start them appear after the first start of: mlops up")
    for pipeline, command in commands.items():
        console.print(f"\n[bold]{pipeline}[/]")
        console.print(command, markup=False)
        console.print("[dim]the state of its run, by the number in the answer:[/]")
        console.print(questions[pipeline], markup=False)
    if commands:
        console.print(f"\n{NOTES}", markup=False)


def trigger_rows(settings: Settings, now: datetime | None = None) -> list[dict[str, Any]]:
    """Describe every trigger, one row each.

    Args:
        settings: Say where Mage's database is.
        now: The time from which the next run is reckoned; by default the present.
    """
    from mlops.orchestration.runs.history import trigger_states
    from mlops.orchestration.triggers.declared import project_triggers

    states = trigger_states(settings)
    moment = now or datetime.now(timezone.utc)
    return [
        {
            "pipeline": trigger.pipeline,
            "trigger": trigger.name,
            **_state(trigger, states.get((trigger.pipeline, trigger.name)), moment),
            "what_it_does": trigger.description,
        }
        for trigger in project_triggers()
    ]


def _state(trigger: "Trigger", state: "TriggerState | None", now: datetime) -> dict[str, Any]:
    from mlops.orchestration.triggers.cron import next_time

    columns: dict[str, Any] = {"id": None, "starts": trigger.cron or "POST", "state": "unknown"}
    columns |= {"next_run": "", "last_result": ""}
    if state is not None:
        columns |= {"id": state.id, "state": "active" if state.active else "inactive"}
        if state.active and trigger.cron:
            columns["next_run"] = f"{next_time(trigger.cron, now):%Y-%m-%d %H:%M}"
        if state.last_at is not None:
            columns["last_result"] = f"{state.last_result} {state.last_at:%Y-%m-%d %H:%M}"
    return columns


def api_commands(settings: Settings, *, show_tokens: bool = False) -> dict[str, str]:
    """Return, for each pipeline with an API trigger, the command that starts it.

    Args:
        settings: Say where the server answers.
        show_tokens: Put the tokens in; otherwise the shell reads them when the command is run.
    """
    from mlops.orchestration.triggers.declared import TRIGGERS

    examples_ = {t.pipeline: dict(t.example) for t in TRIGGERS if t.kind == "api"}
    return {
        pipeline: (
            f"curl -sS -X POST {address} \\\n"
            f'  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps({'pipeline_run': {'variables': examples_[pipeline]}}))}"
        )
        for pipeline, address, token in _api_doors(settings, show_tokens)
    }


def state_commands(settings: Settings, *, show_tokens: bool = False) -> dict[str, str]:
    """Return, for each pipeline with an API trigger, the command that tells how a run stands.

    Args:
        settings: Say where the server answers.
        show_tokens: Put the tokens in; otherwise the shell reads them when the command is run.
    """
    return {
        pipeline: f'curl -sS {address}/RUN -H "Authorization: Bearer {token}"'
        for pipeline, address, token in _api_doors(settings, show_tokens)
    }


def _api_doors(settings: Settings, show_tokens: bool) -> Iterator[tuple[str, str, str]]:
    """Yield pipeline, address and token, or what a shell replaces by it, of each API trigger."""
    from mlops.orchestration.runs.history import trigger_states
    from mlops.orchestration.triggers.declared import TRIGGERS
    from mlops.orchestration.triggers.tokens import api_token, shell_expression

    base = settings.server.public_url.rstrip("/") or settings.mage_url
    states = trigger_states(settings)
    for trigger in TRIGGERS:
        state = states.get((trigger.pipeline, trigger.name))
        if trigger.kind == "api" and state is not None:
            token = (api_token if show_tokens else shell_expression)(settings, trigger.pipeline)
            yield (
                trigger.pipeline,
                f"{base}/api/pipeline_schedules/{state.id}/api_trigger",
                token,
            )
