"""`mlops deploy`, `mlops rollback`, `mlops deployments`: who answers, and how that came to be."""

import getpass
import json
from typing import Annotated, Any, Optional

import typer

from mlops.cli.display import RunDisplay, show_rows, terminal
from mlops.cli.options import AllowMismatch, AsJson, SetOption, examples, overrides_from
from mlops.settings import Settings, load_settings

DEPLOY_CODES = (
    "Exit codes: 0 deployed, or champion already · 2 no such version, or a wrong option · "
    "5 refused by the gate · 7 another deployment is in progress · 8 registry problem · "
    "10 the artifact test or the canary failed, or it was rolled back"
)
ROLLBACK_CODES = (
    "Exit codes: 0 restored, or a deployment stopped · 2 nothing to restore, or a wrong option · "
    "7 another rollback is in progress · 8 registry problem · "
    "10 restored, but the endpoint answers incorrectly"
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    deploy_examples = examples(
        "mlops deploy challenger",
        "mlops deploy 12 --canary-percent 5 --canary-minutes 10 --reason 'better on airports'",
        "mlops deploy 12 --shadow-minutes 30",
    )
    rollback_examples = examples(
        "mlops rollback --reason 'complaints about predictions that are too low'",
        "mlops rollback --to 7",
    )
    listing = examples("mlops deployments", "mlops deployments 20240301T083000-v12 --json")
    app.command("deploy", epilog=f"{deploy_examples}\n\n{DEPLOY_CODES}")(deploy)
    app.command("rollback", epilog=f"{rollback_examples}\n\n{ROLLBACK_CODES}")(rollback)
    app.command("deployments", epilog=listing)(deployments)


def deploy(
    version: Annotated[str, typer.Argument(help="A version, or an alias such as challenger.")],
    canary_percent: Annotated[
        Optional[float], typer.Option(help="Percentage of requests that the canary answers.")
    ] = None,
    canary_minutes: Annotated[
        Optional[float], typer.Option(help="Duration of the canary; 0 skips it.")
    ] = None,
    shadow_minutes: Annotated[
        Optional[float], typer.Option(help="Duration of the shadow before the canary; 0 skips it.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Reason, recorded with the version.")] = "",
    allow_mismatch: AllowMismatch = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion: test its artifact, run a canary, promote, test the endpoint.

    It is rolled back automatically if the endpoint answers incorrectly.
    """
    overrides = overrides_from(
        set_,
        {
            "deployment.canary_percent": canary_percent,
            "deployment.canary_minutes": canary_minutes,
            "deployment.shadow_minutes": shadow_minutes,
            "allow_mismatch": allow_mismatch or None,
        },
    )
    name = "version" if version.isdigit() else "alias"
    variables = {**overrides, name: version, **_who(reason)}

    from mlops.orchestration.engine.engine import require_free
    from mlops.orchestration.triggers.admission import check_run

    settings = check_run("deployment", variables)
    require_free(settings)

    from mlops.orchestration.jobs.deployments import deploy as run  # loads Mage

    _show(settings, run(settings, variables, _watch(as_json)), as_json)


def rollback(
    to: Annotated[
        Optional[int],
        typer.Option(help="Former champion to restore. Default: the previous one."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Reason, recorded with the version.")] = "",
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Restore the previous champion, and stop a deployment in progress.

    If the deployment has not promoted its version yet, the champion stays. A second rollback does
    not undo the first: use --to to name the version to restore.
    """
    overrides = overrides_from(set_)
    variables = {**overrides, **_who(reason), **({} if to is None else {"to_version": str(to)})}

    from mlops.orchestration.triggers.admission import check_run

    settings = check_run("rollback", variables)

    from mlops.orchestration.jobs.deployments import roll_back

    _show(settings, roll_back(settings, variables, _watch(as_json)), as_json)


def deployments(
    id_: Annotated[
        str, typer.Argument(metavar="[ID]", help="A deployment to show with every step.")
    ] = "",
    last: Annotated[int, typer.Option(help="Number of deployments to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List deployments and rollbacks, newest first, or show every step of ID and its reasons."""
    settings = load_settings()

    from mlops.deployment.records import Records

    records = Records(settings.deployments)
    if id_:
        record = records.load(id_)
        if as_json:
            print(json.dumps(_content(record), indent=1))
        else:
            _tell(settings, record)
        return
    rows = [
        {
            "id": record.id,
            "kind": record.kind,
            "version": record.version,
            "from": record.from_version,
            "state": record.state.replace("_", " "),
            "by": record.by,
            "reason": record.reason,
            "last_step": record.summary,
        }
        for record in records.all()[:last]
    ]
    empty = "nothing has been deployed yet; deploy a version with: mlops deploy VERSION"
    show_rows(rows, as_json=as_json, title="Deployments", empty=empty)


def _who(reason: str) -> dict[str, str]:
    return {"by": getpass.getuser(), **({"reason": reason} if reason else {})}


def _watch(as_json: bool) -> RunDisplay:
    console = terminal(stderr=as_json)
    console.print("[dim]loading Mage …[/]")
    return RunDisplay(console)


def _show(settings: Settings, record: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_content(record), indent=1))
    else:
        _tell(settings, record)
    record.require_success()


def _content(record: Any) -> dict[str, Any]:
    content: dict[str, Any] = {**record.model_dump(mode="json"), "state": record.state}
    return content


def _tell(settings: Settings, record: Any) -> None:
    from mlops.deployment.story import tell
    from mlops.registry.listing import find_version

    champion = find_version(settings, "champion")
    undo = record.state == "kept" and _can_undo(settings, record)
    console = terminal()
    version = champion.version if champion else None
    for line in tell(record, version, can_undo=undo, dataset=settings.dataset):
        console.print(line, markup=False)


def _can_undo(settings: Settings, record: Any) -> bool:
    """Tell whether the command that undoes it would find a version."""
    from mlops.registry.versions import Registry

    registry = Registry(settings)
    if record.kind == "deployment":
        return registry.can_roll_back()
    return bool(record.from_version and registry.get(record.from_version))
