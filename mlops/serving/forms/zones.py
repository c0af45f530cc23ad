"""The taxi zones that a request may name, as JSON and as a table of the page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from mlops.datasets.taxi.trips import UNKNOWN_ZONES
from mlops.datasets.taxi.zone_names import ZONE_NAMES
from mlops.datasets.taxi.zones import borough_of


def rows() -> list[dict[str, Any]]:
    """Return every taxi zone that a request may name: number, name and borough."""
    numbers = range(1, len(ZONE_NAMES) + 1)
    return [
        {"zone": zone, "name": name, "borough": str(borough), "known": zone not in UNKNOWN_ZONES}
        for zone, name, borough in zip(numbers, ZONE_NAMES, borough_of([*numbers]), strict=True)
    ]


def section() -> Iterator[str]:
    """Yield the table of the zones as HTML."""
    yield "<h2>Taxi zones</h2>"
    yield "<table><tr><th>Zone</th><th>Name</th><th>Borough</th></tr>"
    for zone in rows():
        note = "" if zone["known"] else " <small>(answered with the flag zone_unknown)</small>"
        yield (
            f"<tr><td>{zone['zone']}</td><td>{escape(zone['name'])}{note}</td>"
            f"<td>{escape(zone['borough'])}</td></tr>"
        )
    yield "</table>"
