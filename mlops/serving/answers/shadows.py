"""Shadows: versions that predict what the champion answered, after the caller has the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

_PLACES: Final = 256


class Shadows:
    """One thread in which shadows predict, and a bounded number of requests that wait for it.

    Args:
        dropped: A counter (`inc`) of the requests that a busy shadow never saw.
    """

    def __init__(self, dropped: Any) -> None:
        self._dropped = dropped
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._places = threading.BoundedSemaphore(_PLACES)

    def cast(self, predict: Callable[[], None]) -> None:
        """Let a shadow predict, unless it is behind already; never waits."""
        if not self._places.acquire(blocking=False):
            self._dropped.inc()
            return

        def work() -> None:
            try:
                predict()
            finally:
                self._places.release()

        self._thread.submit(work)

    def close(self) -> None:
        """Finish the prediction in progress and forget the rest."""
        self._thread.shutdown(wait=True, cancel_futures=True)
