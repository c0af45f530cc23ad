"""`mlops models`: what is registered, what is champion, and why."""

import getpass
import json
from typing import Annotated, Any

import typer
from rich.console import Console

from mlops.cli.display import error_columns, show_rows, terminal
from mlops.cli.options import AsJson, examples
from mlops.datasets.opening import dataset_of
from mlops.datasets.wording import DatasetWords
from mlops.errors import ConfigurationError
from mlops.settings import Settings, dataset_option, load_settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "models",
        epilog=examples(
            "mlops models",
            "mlops models champion",
            "mlops models 3 --json",
            "mlops models --verdict",
        ),
    )(models)
    app.command("adopt", epilog=examples("mlops adopt 3", "mlops adopt 3 --yes"))(adopt)


def models(
    version: Annotated[str, typer.Argument(help="A version or alias to show in full.")] = "",
    verdict: Annotated[
        bool, typer.Option("--verdict", help="Show the gate's last verdict, passed or refused.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List registered versions, or show the metrics, verdict and receipt of VERSION."""
    settings = load_settings()

    from mlops.registry.listing import find_version, list_versions
    from mlops.registry.lookup import no_version
    from mlops.registry.standing import Standing, look_up

    console, words = terminal(), dataset_of(settings).words
    if verdict:
        _show_last_verdict(settings, console, as_json)
        return
    if version:
        info = find_version(settings, version)
        if info is None:
            raise no_version(look_up(settings) or Standing(), version)
        content = info.model_dump(mode="json")
        if as_json:
            print(json.dumps(content, indent=1))
        else:
            _show_version(content, console, words)
        return
    rows = [
        {
            "version": info.version,
            "aliases": ", ".join(info.aliases),
            "family": info.receipt.family if info.receipt else "",
            "trained_on": str(info.origin or ""),
            "test_RMSE": info.evaluation.metrics.rmse if info.evaluation else None,
            "data": info.receipt.data_hash[:12] if info.receipt else "",
            "commit": info.receipt.code_commit[:10] if info.receipt else "",
            "created": f"{info.created_at:%Y-%m-%d %H:%M}",
            "champion_since": f"{info.promoted_at:%Y-%m-%d %H:%M}" if info.promoted_at else "",
        }
        for info in list_versions(settings)
    ]
    show_rows(
        rows,
        as_json=as_json,
        title=f"Versions (RMSE in {words.unit})" if words.unit else "Versions",
        empty=f"no version yet; train one with: mlops run{dataset_option(settings.dataset)}",
    )


def adopt(
    version: Annotated[str, typer.Argument(help="A version, or an alias such as challenger.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Trust a version whose model was not logged from this home.

    Loading a model runs the code in it, so only models that this home logged are loaded. Adopt a
    version from another home, or one registered by hand, if you know where it comes from. To make
    it the champion, use `mlops deploy` afterwards.
    """
    settings = load_settings()

    from mlops.registry.lookup import require_version

    require_version(settings, version)

    from mlops.registry.versions import Registry

    registry = Registry(settings)
    info = registry.require(version)
    console = terminal()
    console.print(
        f"Version {info.version}, registered {info.created_at:%Y-%m-%d %H:%M} UTC\n"
        f"  model  {info.source}\n  run    {info.run_id or 'none: registered by hand'}",
        markup=False,
        soft_wrap=True,
    )
    if not yes:
        typer.confirm("Do you know where it comes from, and may its code run here?", abort=True)
    known, of = registry.adopt(info.version, by=getpass.getuser()), dataset_option(settings.dataset)
    console.print(f"trusted: SHA-256 {known.sha256}; next: mlops deploy {info.version}{of}")


def _show_version(content: dict[str, Any], console: Console, words: DatasetWords) -> None:
    from mlops.evaluation.verdict import Verdict

    console.print(
        f"[bold]Version {content['version']}[/] {', '.join(content['aliases'])}", soft_wrap=True
    )
    if content["receipt"] and content["receipt"]["synthetic"]:
        console.print(f"[yellow]It learned from synthetic {words.rows}.[/]")
    if content["promoted_at"]:
        console.print(f"promoted {content['promoted_at']} by {content['promoted_by']}:")
        console.print(f"  {content['promotion_reason']}")
    if content["receipt"] is None:
        console.print("registered by hand: no evidence is stored with it")
        return
    metrics = content["evaluation"]["metrics"]
    row = {words.rows: metrics["rows"], "RMSE": metrics["rmse"], **error_columns(metrics)}
    show_rows(
        [{**row, "bias": metrics["bias"]}], as_json=False, title=words.measured("Test window")
    )
    console.print(Verdict.model_validate(content["verdict"]).table(), markup=False)
    show_rows(content["evaluation"]["slices"], as_json=False, title=words.measured("Slices"))
    receipt = [{"receipt": name, "value": str(v)} for name, v in content["receipt"].items()]
    show_rows(receipt, as_json=False)


def _show_last_verdict(settings: Settings, console: Console, as_json: bool) -> None:
    from mlops.evaluation.verdict import VERDICT_WAY_OUT, Verdict
    from mlops.records.files import find_record

    verdict = find_record(settings.last_verdict, Verdict, VERDICT_WAY_OUT)
    if verdict is None:
        again = f"mlops run{dataset_option(settings.dataset)}"
        raise ConfigurationError("the gate has judged no model yet", f"train some with: {again}")
    if as_json:
        print(verdict.model_dump_json(indent=1))
    else:
        console.print(verdict.table(), markup=False)
        console.print(verdict.summary)
