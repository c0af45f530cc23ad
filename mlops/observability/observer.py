"""The observer: every few seconds it looks at the project and renews its tables and metrics."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, MutableMapping

from mlops.datasets.catalogue import settings_in_home
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
    page, memories = Page(), defaultdict[str, Memory](Memory)
    with exporter(settings, page) as server:
        complete = look_at_all(settings, page, memories)
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        if ready is not None:
            ready()
        usual = settings.observability.refresh_seconds
        while not stop.wait(usual if complete else min(usual, SOON_SECONDS)):
            complete = look_at_all(settings, page, memories)
        server.shutdown()


def look_at_all(settings: Settings, page: Page, memories: MutableMapping[str, Memory]) -> bool:
    """Renew the tables of every dataset in the home, and the metrics of that of the settings.

    Args:
        settings: Name the dataset whose metrics are published.
        page: Of metrics.
        memories: Of the looks before, by dataset; missing ones are made.
    """
    looks = [
        look(each, page if each is settings else None, memories[name])
        for name, each in settings_in_home(settings).items()
    ]
    return all(looks)


def look(settings: Settings, page: Page | None, memory: Memory) -> bool:
    """Renew tables and metrics once, and return whether all could be made; never raises.

    Args:
        settings: Name the dataset.
        page: Of metrics; None to renew only tables.
        memory: Of the looks before at the same dataset.
    """
    try:
        refreshed = refresh(settings, memory)
        if page is not None:
            page.show(refreshed)
    except Exception:
        logger.exception("what was seen before stays")
        return False
    return not refreshed.problems
