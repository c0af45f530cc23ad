"""Which months a source has that nobody has learned from: asked without fetching any trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from mlops.data.locations import month_file_name
from mlops.data.months import month_bounds, next_month
from mlops.datasets.taxi.sources import path
from mlops.errors import SourceError
from mlops.settings import SourceSettings

_MISSING = (403, 404)  # the TLC's storage answers 403 for a file that does not exist
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_FIRST_DELAY_SECONDS = 0.5


def months_after(source: SourceSettings, newest: str, today: date) -> tuple[str, ...]:
    """Return the months after ``newest`` that the source has, oldest first.

    ``tlc``: those published one after the other, by HTTP HEAD. ``path``: those lying in the folder,
    by listing it, or by asking for one after the other where a server cannot list. ``sample``: the
    next month once it is over; one at a time, so that data arrive as they would.

    Args:
        source: Where trips come from.
        newest: The last month already learned from, ``YYYY-MM``.
        today: A month that is not over by then is not asked for.

    Raises:
        SourceError: If the source cannot be asked.
    """
    if source.kind == "sample":
        return _consecutive(newest, today, lambda month: True)[:1]
    if source.kind == "tlc":
        with _session(source.retries) as session:
            return _consecutive(newest, today, lambda month: _is_published(session, source, month))
    if source.location.startswith(("http://", "https://")):
        return _consecutive(newest, today, lambda month: path.has_month(source, month))
    return tuple(month for month in path.months_there(source) if month > newest)


def months_there(
    source: SourceSettings, months: Iterable[str], today: date, cache_root: Path
) -> tuple[str, ...]:
    """Return those of some months that the source has.

    Args:
        source: Where trips come from. ``sample``: months that are over; ``tlc``: those in the cache
            or published; ``path``: those lying there, also a month that is still growing.
        months: ``YYYY-MM``.
        today: See above.
        cache_root: `settings.cache`.

    Raises:
        SourceError: If the source cannot be asked.
    """
    wanted = sorted(set(months))
    if source.kind == "sample":
        return tuple(month for month in wanted if month_bounds(month)[1].date() <= today)
    if source.kind == "tlc":
        folder = cache_root / "tlc" / source.taxi
        with _session(source.retries) as session:
            return tuple(
                month
                for month in wanted
                if (folder / month_file_name(source.taxi, month)).exists()
                or _is_published(session, source, month)
            )
    if source.location.startswith(("http://", "https://")):
        return tuple(month for month in wanted if path.has_month(source, month))
    there = set(path.months_there(source))
    return tuple(month for month in wanted if month in there)


def _consecutive(newest: str, today: date, there: Callable[[str], bool]) -> tuple[str, ...]:
    months: list[str] = []
    month = next_month(newest)
    while month_bounds(month)[1].date() <= today and there(month):
        months.append(month)
        month = next_month(month)
    return tuple(months)


def _session(retries: int) -> requests.Session:
    session = requests.Session()
    retry = Retry(
        total=retries,
        backoff_factor=_FIRST_DELAY_SECONDS,
        status_forcelist=_TRANSIENT,
        allowed_methods=("HEAD",),
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _is_published(session: requests.Session, source: SourceSettings, month: str) -> bool:
    url = f"{source.base_url.rstrip('/')}/{month_file_name(source.taxi, month)}"
    try:
        status = session.head(url, timeout=source.timeout_seconds, allow_redirects=True).status_code
    except requests.RequestException as error:
        raise SourceError(
            f"{url}: cannot be requested: {error}", "check the network and source.base_url"
        ) from error
    if status not in (200, *_MISSING):
        raise SourceError(f"{url}: the server answered {status}", "check source.base_url")
    return status == 200
