"""What a web server says of bad requests, without a line for each: anyone can send thousands."""

from __future__ import annotations

import logging
import time
from typing import Final

from mlops.counting import counted

_SECONDS: Final = 60.0
# uvicorn's words → ours; advice to install packages is for those who build the server.
_WORDS: Final = {
    "Invalid HTTP request received.": "a request that is not HTTP was refused",
    "Unsupported upgrade request.": "a request to upgrade the connection was ignored",
}
_IDLE_ADVICE: Final = "No supported WebSocket library detected."

logger = logging.getLogger(__name__)


class Complaints(logging.Filter):
    """Lets the first complaint of a kind pass, counts the others, and reports how many there were.

    Args:
        seconds: How often a kind is reported at most.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._counts: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        kind = str(record.msg)
        if record.levelno != logging.WARNING or kind.startswith(_IDLE_ADVICE):
            return record.levelno != logging.WARNING
        if kind in self._since:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            return False
        self._since[kind] = time.monotonic()
        record.msg = _WORDS.get(kind, kind)
        return True

    def report(self, *, at_once: bool = False) -> None:
        """Say how often each complaint was repeated.

        Args:
            at_once: Do not wait until the time of each is over: the server stops.
        """
        now = time.monotonic()
        for kind, since in list(self._since.items()):
            if at_once or now - since >= self._seconds:
                del self._since[kind]
                count = self._counts.pop(kind, 0)
                if count:
                    words = _WORDS.get(kind, kind)
                    times = counted(count, "more time")
                    logger.warning("%s: %s in %.0f s", words, times, now - since)
