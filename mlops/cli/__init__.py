"""The one command line: everything the pipelines and pages do, from a terminal.

Each module of this package holds a few commands; this one assembles them and turns failures into
messages and exit codes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import cleandoc
from platform import python_version
from typing import Any, Final

import click
import typer
from rich.console import Console
from typer.core import TyperGroup

from mlops.cli.encoding import use_utf8
from mlops.errors import (
    EXIT_CODES,
    ConfigurationError,
    InterruptionError,
    MlopsError,
    did_you_mean,
)
from mlops.orchestration.engine.interruption import interruptible

_DATASET: Final = "MLOPS_DATASET"
_NO_COMMAND: Final = re.compile(r"No such command '(.*)'")


class Commands(TyperGroup):
    """The commands, each of which Ctrl-C ends with exit code 130."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        typed = shlex.join(["mlops", *ctx.protected_args, *ctx.args])
        with interruptible(lambda: typed):
            return super().invoke(ctx)


def build_app() -> typer.Typer:
    """Assemble the commands. Imports stay inside so that `--help` is instant."""
    from mlops.cli import (
        backtest,
        configuration,
        dataset,
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
        cls=Commands,
        help="From raw data to a monitored model in production.",
        epilog="Exit codes:\n\n"
        + " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()),
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for module in (
        run,
        dataset,
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
    ):
        module.register(app)
    return app


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    from mlops.registry.receipts import code_commit

    parts = ", ".join(f"{name} {version(name)}" for name in ("mage-ai", "mlflow"))
    print(f"mlops {version('mlops')} ({code_commit()[:10]}), {parts}, Python {python_version()}")
    context.exit()


def _work_on(context: click.Context, _: click.Parameter, dataset: str | None) -> None:
    """Let the command, and every process that it starts, work on a dataset that there is."""
    if not dataset:
        return
    from mlops.datasets.catalogue import require_dataset

    require_dataset(dataset)
    context.with_resource(_in_environment(_DATASET, dataset))


@contextmanager
def _in_environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _dataset_option() -> click.Option:
    return click.Option(
        ["--dataset"],
        metavar="NAME",
        envvar=_DATASET,
        is_eager=True,
        expose_value=False,
        callback=_work_on,
        help="Dataset to work on, by its name in: mlops dataset list.",
    )


def command_line() -> click.Group:
    """Return the commands as click knows them; a default that is no value is not shown as one.

    Each command takes ``--dataset``, but for those that take a definition as their argument.
    """
    command = typer.main.get_command(build_app())
    assert isinstance(command, Commands)
    version: dict[str, Any] = {
        "is_flag": True,
        "is_eager": True,
        "expose_value": False,
        "callback": _show_version,
    }
    command.params.insert(
        0, click.Option(["--version"], help="Show the version of the project and quit.", **version)
    )
    waiting: list[tuple[str, click.Command]] = [("mlops", command)]
    while waiting:
        group, each = waiting.pop()
        waiting += [(each.name or "", inner) for inner in getattr(each, "commands", {}).values()]
        if not isinstance(each, click.Group) and group != "dataset":
            each.params.append(_dataset_option())
        # A terminal may be narrower than a docstring, whose lines typer would keep.
        each.help = re.sub(r"(?<=\S)\n(?=\S)", " ", cleandoc(each.help or ""))
        for parameter in each.params:
            _refuse_empty(parameter)
            if parameter.default in (None, "") and not isinstance(
                getattr(parameter, "show_default", None), str
            ):
                parameter.show_default = False  # type: ignore[attr-defined]
    return command


def _refuse_empty(parameter: click.Parameter) -> None:
    """Let a parameter refuse to be given as ``''`` where that would read as "not given".

    Without this, ``mlops monitor "$WINDOW"`` would act instead of look if the variable is unset.
    """
    known = parameter.callback

    def callback(context: click.Context, each: click.Parameter, value: Any) -> Any:
        source = context.get_parameter_source(each.name or "")
        typed = value if isinstance(value, (tuple, list)) else (value,)
        if source is click.core.ParameterSource.COMMANDLINE and "" in map(str, typed):
            raise click.BadParameter("it is empty.", context, each)
        return known(context, each, value) if known else value

    # An empty setting is refused, or has a meaning, where settings are read.
    if isinstance(parameter, click.Argument) or parameter.required or parameter.default == "":
        parameter.callback = callback


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never returns normally."""
    if arguments is None:
        use_utf8()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)  # what commands write is their user's alone
    # `python -m mlops.cli --train-data A --validation-data B`: a pipeline is a parameterised
    # script, so options without a command belong to `run`.
    if arguments and arguments[0].startswith("--") and arguments[0] not in ("--help", "--version"):
        arguments.insert(0, "run")
    as_json = "--json" in arguments
    try:
        # Commands return nothing; what is returned here is the code they left with.
        sys.exit(command_line()(args=arguments, prog_name="mlops", standalone_mode=False) or 0)
    except click.ClickException as error:
        failure = _misuse(error)
        _complain(failure, as_json=as_json)
        sys.exit(failure.exit_code)
    except MlopsError as error:
        _complain(error, as_json=as_json)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(InterruptionError.exit_code)


def _misuse(error: click.ClickException) -> ConfigurationError:
    """Say which command, option or argument is wrong, and what was probably meant."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "mlops"
    message, _, meant = error.format_message().partition(" Did you mean ")
    wrong = _NO_COMMAND.search(message)
    if wrong and context:
        meant = did_you_mean(wrong[1], getattr(context.command, "commands", {}))
    elif meant:
        meant = f"did you mean {meant}"
    return ConfigurationError(
        f"{path}: {message[:1].lower()}{message[1:]}", f"{meant} See: {path} --help".strip()
    )


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
