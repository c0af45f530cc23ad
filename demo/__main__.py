"""``make demo-drift``, or ``python -m demo``: the project at work, for a person who watches."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from mlops.errors import MlopsError

FOLDER = ".mlops-demo"


def drift(
    home: Annotated[
        Optional[Path],
        typer.Option(help=f"Folder of the demonstration. Default: {FOLDER}.", show_default=False),
    ] = None,
    exit_: Annotated[
        bool, typer.Option("--exit", help="Stop the servers at the end, without asking.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder afterwards.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the simulated city.")] = 7,
    small: Annotated[bool, typer.Option("--small", help="Fewer trips, half the time.")] = False,
) -> None:
    """Simulate drift, and watch the project detect it, retrain and recover.

    Real servers run in a home and on ports of their own, so yours are not touched. A champion
    answers requests until a bridge closes. Monitoring detects the drift and starts a retraining; a
    canary tests the new version before it is promoted. This takes two to four minutes. At the end
    the servers keep running until you press Enter or Ctrl-C.
    """
    from dataclasses import replace

    from demo.drift import perform, remove
    from demo.plan import SMALL, DemoSize

    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s]  {line}" if line else "", flush=True)

    folder = (home or Path(FOLDER)).expanduser().resolve()
    # A terminal that closes, or a signal to this process, ends the servers too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    size = replace(SMALL if small else DemoSize(), seed=seed)
    try:
        perform(folder, size, say, (lambda: None) if exit_ else _wait)
    except MlopsError:
        print(f"The records are in {folder}; the next demonstration deletes them.")
        raise
    except BaseException:  # interrupted: nobody is going to read it
        remove(folder)
        raise
    if not keep:
        remove(folder)


def _wait() -> None:
    """Wait for Enter or Ctrl-C."""
    print("\nThe servers keep running: look around. Enter or Ctrl-C stops them.", flush=True)
    try:
        if sys.stdin.isatty():
            sys.stdin.readline()
        else:
            signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    os.umask(0o077)  # what is written is its user's alone
    try:
        typer.run(drift)
    except MlopsError as error:
        print(f"error {error}", file=sys.stderr)
        sys.exit(error.exit_code)
