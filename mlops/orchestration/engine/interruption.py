"""Ctrl-C, wherever it arrives, ends in exit code 130 and a sentence that says how to go on.

Libraries in the middle of an import turn `KeyboardInterrupt` into errors of their own, and Click
turns it into exit code 1; so the signal itself is noted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mlops.errors import InterruptionError


@contextmanager
def interruptible(go_on: Callable[[], str]) -> Iterator[None]:
    """Raise an `InterruptionError` when Ctrl-C ends what is inside.

    Args:
        go_on: Returns the command that continues; asked only after an interruption.

    Raises:
        InterruptionError: With that command as its hint.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    former = signal.signal(signal.SIGINT, note) if here else None
    try:
        yield
    except InterruptionError:
        raise
    except KeyboardInterrupt:
        raise _interruption(go_on()) from None
    except Exception as error:
        if noted:
            raise _interruption(go_on()) from error
        raise
    finally:
        if here:
            signal.signal(signal.SIGINT, former)


def _interruption(command: str) -> InterruptionError:
    return InterruptionError(
        "interrupted: running blocks were stopped, and nothing is half-written",
        f"continue with: {command}",
    )
