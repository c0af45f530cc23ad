"""`mlops report`: what a run, a window or a version is, as a page for people."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated, Optional

import typer

from mlops.cli.display import terminal
from mlops.cli.options import AsJson, SetOption, examples, settings_from


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "report",
        epilog=examples(
            "mlops report model",
            "mlops report model 3 --open",
            "mlops report window",
            "mlops report run 12 --output selection.html",
        ),
    )(report)


def report(
    kind: Annotated[
        str,
        typer.Argument(
            help="run (a model selection), window (of monitoring) or model (a model card)."
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(
            help="Number of the run, name of the window, version or alias."
            " By default the last run, the latest window, the champion."
        ),
    ] = "",
    output: Annotated[
        Optional[Path], typer.Option(help="File to write. By default below .mlops/reports.")
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Show it in the browser.")
    ] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a report as one HTML file that needs no network, and log it to MLflow."""
    settings = settings_from(set_)
    if kind == "model":
        from mlops.registry.lookup import require_version
        from mlops.registry.trail import CHAMPION

        require_version(settings, name or CHAMPION)

    from mlops.reports.making import make_report

    made = make_report(settings, kind, name, output)
    if open_:
        webbrowser.open(made.path.as_uri())
    if as_json:
        print(json.dumps(made.as_json(), indent=1))
        return
    console = terminal()
    console.print(f"{made.title}: {made.path}", markup=False)
    if made.logged:
        console.print(f"in MLflow: {made.logged}", markup=False)
    elif made.not_logged:
        console.print(f"not in MLflow: {made.not_logged}", markup=False)
