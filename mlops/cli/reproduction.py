"""`mlops reproduce`: is a version what its receipt says, to the last bit."""

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, settings_from

if TYPE_CHECKING:
    from mlops.reproduction.findings import Reproduction

DIFFERS = 13


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "reproduce",
        epilog=examples(
            "mlops reproduce champion",
            "mlops reproduce 3 --exact",
            "mlops reproduce 3 --threads 1 --json",
        ),
    )(reproduce)


def reproduce(
    version: Annotated[str, typer.Argument(help="A version or alias.")],
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Use the code of the recorded commit, in a git worktree."),
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads for fitting; 0 means as many as the receipt says.")
    ] = 0,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a version from its receipt, and say whether it matches bit for bit.

    Environment, data, features, model, interval, predictions and metrics are compared in that
    order. The exit code is 0 if everything from the data to the metrics is equal, else 13, and the
    first stage that differs is named. Nothing is registered or changed.
    """
    settings = settings_from(set_)

    from mlops.registry.lookup import require_version

    require_version(settings, version)

    from mlops.registry.versions import Registry
    from mlops.reproduction.exact import reproduce_exactly
    from mlops.reproduction.reproduce import reproduce as run

    info = Registry(settings).get(version) if exact else None
    with redirect_stdout(sys.stderr):  # progress; the result alone is the output
        if info is not None and info.receipt is not None:
            found = reproduce_exactly(info.version, info.receipt, settings, threads)
        else:  # which also says why, if there is no such version
            found = run(version, settings, threads)
    if as_json:
        first = found.first_difference
        verdict = {"matches": found.matches, "first_difference": first.name if first else None}
        content = {**verdict, "summary": found.summary, **found.model_dump(mode="json")}
        print(json.dumps(content, indent=1))
    else:
        _show(found)
    if not found.matches:
        raise typer.Exit(DIFFERS)


def _show(found: "Reproduction") -> None:
    rows = [
        {"stage": stage.name, "": stage.outcome, "result": stage.summary} for stage in found.stages
    ]
    rebuilt = f"rebuilt with code {found.code[:12]} in {found.seconds:.1f} s"
    show_rows(rows, as_json=False, title=f"Version {found.version} ({found.family}), {rebuilt}")
    if found.lacking:
        terminal().print(
            f"its receipt lacks {', '.join(found.lacking)}: it was written by an older release"
        )
    terminal().print(found.summary, markup=False)
