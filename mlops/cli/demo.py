"""`mlops demo`: the project at work, for a person who watches."""

import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from mlops.cli.options import examples
from mlops.errors import MlopsError

FOLDER = ".mlops-demo"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    demo = typer.Typer(help="Demonstrations of the whole project.", no_args_is_help=True)
    demo.command(
        "drift",
        epilog=examples(
            "mlops demo drift",
            "mlops demo drift --exit",
            "mlops demo drift --home /tmp/demo --keep",
        ),
    )(drift)
    # With a single command typer would leave its name out.
    demo.callback()(lambda: None)
    app.add_typer(demo, name="demo")


def drift(
    home: Annotated[
        Optional[Path], typer.Option(help=f"Folder for everything. Default: {FOLDER} here.")
    ] = None,
    exit_: Annotated[
        bool, typer.Option("--exit", help="Stop the servers at the end, without asking.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder in place.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another city.")] = 7,
    small: Annotated[bool, typer.Option("--small", help="Fewer trips: half the time.")] = False,
) -> None:
    """Simulate drift, and watch the project detect it, retrain and recover.

    Real servers, in a home and on ports of their own: your own home and servers are not touched.
    A champion is trained; callers ask; a bridge is closed; monitoring finds it, retrains, and the
    new version is watched as a canary and promoted. Takes two to four minutes; in the end the
    servers stay up to look at, until Enter or Ctrl-C.
    """
    from dataclasses import replace

    from mlops.demo.drift import perform, remove
    from mlops.demo.plan import SMALL, DemoSize

    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s]  {line}" if line else "", flush=True)

    folder = (home or Path(FOLDER)).expanduser().resolve()
    # A terminal that closes, or whoever ends this process, ends the servers too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    size = replace(SMALL if small else DemoSize(), seed=seed)
    try:
        perform(folder, size, say, (lambda: None) if exit_ else _wait)
    except MlopsError:
        print(f"What happened can be read in {folder}; the next demonstration clears it.")
        raise
    except BaseException:  # interrupted: nobody is going to read it
        remove(folder)
        raise
    if not keep:
        remove(folder)


def _wait() -> None:
    """Wait for Enter or Ctrl-C."""
    print("\nThe servers stay up: look around. Enter or Ctrl-C stops them.", flush=True)
    try:
        if sys.stdin.isatty():
            sys.stdin.readline()
        else:
            signal.pause()
    except KeyboardInterrupt:
        print()
