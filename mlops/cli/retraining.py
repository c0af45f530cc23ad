"""`mlops retrain` and `mlops approve`: learn from what is new, and let it replace the champion."""

import json
from typing import Annotated, Any

import typer

from mlops.cli.deployments import deploy
from mlops.cli.display import RunDisplay, show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, overrides_from
from mlops.errors import ConfigurationError
from mlops.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "retrain",
        epilog=examples(
            "mlops retrain",
            "mlops retrain --force --reason 'a new price list'",
            "mlops retrain --set source=tlc --set deployment.policy=auto",
            "mlops retrain --resume",
        ),
    )(retrain)
    app.command(
        "approve",
        epilog=examples("mlops approve", "mlops approve 12 --reason 'seen the slices'"),
    )(approve)


def retrain(
    force: Annotated[
        bool, typer.Option("--force", help="Train even if the source has no new month.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Reason, recorded with the retraining.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last retraining that did not finish.")
    ] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Look for new months; if there are any, retrain and deploy as the triggers do.

    The setting deployment.policy says whether a version that passes is deployed or waits.
    """
    variables = {**overrides_from(set_), "force": force, "reason": reason or "mlops retrain"}

    from mlops.orchestration.engine.engine import require_free
    from mlops.orchestration.triggers.admission import check_run

    settings = check_run("retraining", variables)
    require_free(settings)
    console = terminal(stderr=as_json)
    console.print("[dim]loading Mage …[/]")

    from mlops.orchestration.jobs.retraining import run_retraining
    from mlops.registry.remembered import source_in_force

    if not resume:
        console.print(source_in_force(settings).summary, markup=False)

    record = run_retraining(settings, variables, RunDisplay(console), resume=resume)
    if as_json:
        print(record.model_dump_json(indent=1))
        return
    console.print()
    rows: list[dict[str, Any]] = [
        {"": "why", "retraining": record.decision.reason},
        {"": "months", "retraining": ", ".join(record.decision.months)},
        {"": "candidates", "retraining": ", ".join(c["family"] for c in record.candidates)},
        {"": "gate", "retraining": record.verdict},
        {"": "outcome", "retraining": record.summary},
    ]
    show_rows([row for row in rows if row["retraining"]], as_json=False, console=console)


def approve(
    version: Annotated[
        int, typer.Argument(help="Default: the version that waits.", show_default=False)
    ] = 0,
    reason: Annotated[str, typer.Option(help="Reason, recorded with the version.")] = "",
    show: Annotated[bool, typer.Option("--show", help="Only show the version that waits.")] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Deploy the version that passed the gate and waits for approval."""
    settings = load_settings(overrides_from(set_))

    from mlops.retraining.records import pending_approval, settle_approval

    pending = pending_approval(settings)
    if pending is None or version not in (0, pending.version):
        waiting = f"version {pending.version}" if pending else "no version"
        raise ConfigurationError(
            f"{waiting} waits for approval" + (f", not version {version}" if version else ""),
            "to deploy any other version: mlops deploy VERSION",
        )
    content = pending.model_dump(mode="json")
    if show:
        rows = [{"": name, "waits for approval": str(value)} for name, value in content.items()]
        print(json.dumps(content, indent=1)) if as_json else show_rows(rows, as_json=False)
        return
    text = f"{pending.reason}; approved" + (f": {reason}" if reason else "")
    deploy(str(pending.version), reason=text, set_=set_, as_json=as_json)
    settle_approval(settings, pending.version)
