"""The prediction log as monitoring sees it: the answers that callers got, by version, day by day.

A first look reads only when each version answered and for which events, and keeps what no stored
window holds yet. Whole rows are read for complete windows only, one day at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.watching import Watching
from mlops.deployment.endpoint import KEY_NAME as DEPLOYMENT
from mlops.monitoring.windows.arrivals import months_of
from mlops.monitoring.windows.cutting import DAY_US, Instants, Span, cut
from mlops.monitoring.windows.staging import Answered
from mlops.serving.log.reading import log_layout, read_log
from mlops.serving.log.rows import AT, ROW, logged_name
from mlops.settings import Settings

_VERSION, _ROLE, _CALLER = "version", "role", "caller"
_LOOK: Final = (AT, _VERSION, _ROLE, _CALLER)
# Of rows that arrived together any order will do, if it is always the same one: that of their place
# in a request, and of some columns of what was asked, the event first.
_ORDER: Final = (AT, ROW)
_COLUMNS_OF_ORDER: Final = 3
_SHADOW: Final = "shadow"
_WRITING_SECONDS: Final = 1.0


class ServedSpan(NamedTuple):
    """A window of the log.

    Attributes:
        version: Of the model that answered.
        span: Of arrivals.
        months: In which its events lie.
    """

    version: int
    span: Span
    months: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Arrivals of one version that no window holds yet."""

    at: Instants
    events: npt.NDArray[Any]


def new_spans(
    settings: Settings, watching: Watching, ends: Mapping[int, datetime], now: datetime
) -> list[ServedSpan]:
    """Cut what was answered since the last stored windows.

    What was answered longer than `label_wait_days` ago, and never made a window, is given up.

    Args:
        settings: Of the log and of windows.
        watching: Of the dataset.
        ends: Of the last window of each version that has one.
        now: With time zone. What is just being written is left for the next time.
    """
    monitoring = settings.monitoring
    days = max(monitoring.label_wait_days, monitoring.window_days)
    until = to_us(now) - int(1e6 * (2 * settings.prediction_log.flush_seconds + _WRITING_SECONDS))
    after = {version: to_us(end) for version, end in ends.items()}
    found: list[ServedSpan] = []
    event, start = logged_name(watching.event), to_us(now) - int(days * DAY_US)
    for version, waiting in _waiting(settings, event, start, until, after):
        for span in cut(waiting.at, until, monitoring):
            rows = slice(*np.searchsorted(waiting.at, span))
            found.append(ServedSpan(version, span, months_of(waiting.events[rows])))
    return found


def read_spans(
    settings: Settings, spans: Iterable[ServedSpan]
) -> Iterator[tuple[ServedSpan, Answered]]:
    """Read the rows of windows, each once, holding a day and what is open of windows in memory.

    Args:
        settings: Of the log.
        spans: Windows; those of one version do not overlap.

    Yields:
        Windows as they become complete, with their rows in the order of arrival.
    """
    waiting = {span: list[pd.DataFrame]() for span in spans}
    layout = log_layout(settings)
    names, answers = layout.asked, layout.answers
    columns = (*_LOOK, ROW, *names, *answers)
    order = [*_ORDER, *[*names][:_COLUMNS_OF_ORDER]]
    for day in _days(span.span for span in waiting):
        of_day = [s for s in waiting if s.span.start < day.end and s.span.end > day.start]
        first = max(day.start, min(s.span.start for s in of_day))
        last = min(day.end, max(s.span.end for s in of_day))
        for version, rows in _by_version(_answers(settings, Span(first, last), columns)):
            at = _microseconds(rows)
            for span in (s for s in of_day if s.version == version):
                waiting[span].append(rows.iloc[slice(*np.searchsorted(at, span.span))])
        for span in (s for s in of_day if s.span.end <= day.end):
            parts = waiting.pop(span)
            if any(map(len, parts)):
                whole = pd.concat(parts, ignore_index=True)
                whole = whole.sort_values(order, kind="stable", ignore_index=True)
                rows = whole[[*names]].rename(columns=names)
                found = whole[[*answers]].rename(columns=layout.predicted)
                yield span, Answered(rows, found, whole[AT])


def to_us(moment: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _waiting(
    settings: Settings, event: str, start: int, until: int, after: Mapping[int, int]
) -> Iterator[tuple[int, _Waiting]]:
    """Yield, by version, the arrivals from ``start`` on and after its last window."""
    parts: dict[int, list[_Waiting]] = {}
    for day in _days([Span(start, until)]):
        inside = Span(max(day.start, start), min(day.end, until))
        for version, rows in _by_version(_answers(settings, inside, (*_LOOK, event))):
            at = _microseconds(rows)
            new = slice(int(np.searchsorted(at, after.get(version, 0))), None)
            if len(at[new]):
                events = rows[event].to_numpy("datetime64[M]")[new]
                parts.setdefault(version, []).append(_Waiting(at[new], events))
    for version in sorted(parts):
        of_version = parts[version]
        yield (
            version,
            _Waiting(
                np.concatenate([part.at for part in of_version]),
                np.concatenate([part.events for part in of_version]),
            ),
        )


def _answers(settings: Settings, span: Span, columns: Sequence[str]) -> pd.DataFrame:
    """Read the answers that callers got, without those of shadows and to probes of deployments."""
    rows = read_log(settings, from_us(span.start), from_us(span.end), columns)
    return rows[(rows[_ROLE] != _SHADOW) & (rows[_CALLER] != DEPLOYMENT)]


def _by_version(rows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    for version, of_version in rows.groupby(_VERSION, sort=True):
        yield int(str(version)), of_version


def _microseconds(rows: pd.DataFrame) -> Instants:
    return rows[AT].to_numpy("datetime64[us]").astype(np.int64)


def _days(spans: Iterable[Span]) -> list[Span]:
    """Return the days, by UTC as in the log, that spans touch."""
    touched = {
        day for span in spans for day in range(span.start // DAY_US, (span.end - 1) // DAY_US + 1)
    }
    return [Span(day * DAY_US, (day + 1) * DAY_US) for day in sorted(touched)]
