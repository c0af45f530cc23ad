"""The log of a server as an on-call engineer reads it: each entry has a time, none means nothing.

Libraries print as well as log. What a process of ours prints gets the time here, line by line; what
they announce at every start, and nobody can act on, is left out.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from datetime import datetime, timezone
from typing import Any, Final, TextIO

# The time that logging, gunicorn or uvicorn have written already.
_TIMED: Final = re.compile(r"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
# Announcements of migrations that do not happen, and of unsigned messages to a kernel of our own.
_TALKATIVE: Final = ("alembic", "traitlets")


def begin() -> None:
    """Give each line that this process prints its time, and silence what means nothing.

    To be called by a server's process as the first thing: loggers keep the streams they are given.
    """
    # The kernels of the editor warn about their debugger, past any stream of ours.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.stdout, sys.stderr = TimedLines(sys.stdout), TimedLines(sys.stderr)


class TimedLines(io.TextIOBase):
    """A text stream whose lines begin with the time, unless they have one or continue another.

    Args:
        stream: Where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._of_thread = threading.local()  # a line that has not ended is its thread's own

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream below."""
        return self._stream.encoding

    @property
    def buffer(self) -> Any:
        """The stream below, for writers of bytes."""
        return self._stream.buffer

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Return that of the stream below: what subprocesses write to."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write what is whole lines by now; an entry goes out in one piece."""
        rest = getattr(self._of_thread, "rest", "")
        *lines, self._of_thread.rest = (rest + text).split("\n")
        if lines:
            self._stream.write("".join(f"{_timed(line)}\n" for line in lines if line.strip()))
        return len(text)

    def flush(self) -> None:
        """Flush the lines that have ended."""
        self._stream.flush()


def _timed(line: str) -> str:
    if line[:1].isspace() or _TIMED.match(line):
        return line
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S,%f}"[:-3] + f" {line}"
