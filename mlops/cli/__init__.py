"""The one command line: everything the pipelines and pages do, from a terminal.

Each module of this package holds a few commands; this one assembles them and turns failures into
messages and exit codes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer
from rich.console import Console

from mlops.errors import MlopsError

EXIT_CODES = """Exit codes:

0 done · 1 unexpected error · 2 wrong option or setting · 3 trips could not be read ·
4 data contract broken · 5 the gate refused a model · 6 a pipeline failed · 7 another run is busy ·
8 registry or tracking problem · 9 a server ended · 10 a version was not deployed, or taken back ·
11 a message did not arrive · 12 monitoring wants what was not started ·
13 a version is not what its receipt says · 14 a stored file is damaged ·
130 interrupted
"""


def build_app() -> typer.Typer:
    """Assemble the commands. Imports stay inside so that `--help` is instant."""
    from mlops.cli import (
        backtest,
        configuration,
        demo,
        deployments,
        doctor,
        models,
        monitoring,
        notify,
        observability,
        pipelines,
        predict,
        reports,
        reproduction,
        retraining,
        run,
        server,
        serving,
        triggers,
    )

    app = typer.Typer(
        name="mlops",
        help="From raw trips to a monitored model in production.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for module in (
        run,
        pipelines,
        triggers,
        models,
        reproduction,
        retraining,
        monitoring,
        backtest,
        deployments,
        reports,
        predict,
        doctor,
        configuration,
        server,
        serving,
        observability,
        notify,
        demo,
    ):
        module.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never returns normally."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # `python -m mlops.cli --train-data A --validation-data B`: a pipeline is a parameterised
    # script, so options without a command belong to `run`.
    if arguments and arguments[0].startswith("--") and arguments[0] not in ("--help", "--version"):
        arguments.insert(0, "run")
    try:
        build_app()(args=arguments, prog_name="mlops")
    except MlopsError as error:
        _complain(error, as_json="--json" in arguments)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: children stopped, nothing half-written")
        sys.exit(130)


def _complain(error: MlopsError, *, as_json: bool) -> None:
    if as_json:
        content = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
        print(json.dumps(content))
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error[/] {_plain(error.message)}")
    if error.hint:
        console.print(f"[bold]what to do[/] {_plain(error.hint)}")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
