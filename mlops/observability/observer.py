"""The observer: every few seconds it looks at the project and renews its tables and metrics."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mlops.observability.exporter import Page, exporter
from mlops.observability.memory import Memory
from mlops.observability.tables import refresh
from mlops.settings import Settings

logger = logging.getLogger(__name__)

SOON_SECONDS = 5  # until what could not be made is tried again, if the usual look is later


def observe(
    settings: Settings, stop: threading.Event | None = None, ready: Callable[[], None] | None = None
) -> None:
    """Look at the project until it is to stop. What fails is logged and tried again.

    Args:
        settings: ``settings.observability`` says how often, and where metrics are published.
        stop: Set it to end; by default it runs for ever.
        ready: Called once metrics are published.

    Raises:
        ConfigurationError: If the port is taken, naming its setting.
    """
    stop = stop or threading.Event()
    page, memory = Page(), Memory()
    with exporter(settings, page) as server:
        complete = look(settings, page, memory)
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        if ready is not None:
            ready()
        usual = settings.observability.refresh_seconds
        while not stop.wait(usual if complete else min(usual, SOON_SECONDS)):
            complete = look(settings, page, memory)
        server.shutdown()


def look(settings: Settings, page: Page, memory: Memory) -> bool:
    """Renew tables and metrics once, and return whether all could be made; never raises."""
    try:
        refreshed = refresh(settings, memory)
        page.show(refreshed)
    except Exception:
        logger.exception("what was seen before stays")
        return False
    return not refreshed.problems
