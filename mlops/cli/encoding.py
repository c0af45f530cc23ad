"""Text is UTF-8 here, whatever the locale says: in files, in logs, in children and on the terminal.

A locale that is not installed makes Python fall back to ASCII, in which no table and no name of a
zone can be written. Python decides once, when it starts, so the command starts again.
"""

from __future__ import annotations

import codecs
import locale
import os
import sys
from typing import NoReturn


def use_utf8() -> None:
    """Go on in UTF-8; returns only once this process reads and writes it by default."""
    if not sys.flags.utf8_mode and _is_other(locale.getpreferredencoding(False)):
        _start_again()
    for stream in (sys.stdout, sys.stderr):
        # A name that is not text, or a terminal with another encoding, must not end a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_other(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name != "utf-8"
    except LookupError:
        return True


def _start_again() -> NoReturn:
    os.environ["PYTHONUTF8"] = "1"  # of children too
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
