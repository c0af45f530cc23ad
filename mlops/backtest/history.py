"""The gatekeeper: all that happened, handed out only as far as a clock has come.

A replay proves nothing if anything of the future leaks into it. So nothing else reads the recorded
rows: a request is shown once it was made, without what is known only afterwards; a label once its
outcome was known and the label had time to arrive. Columns are named one by one, never passed on.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.watching import Watching
from mlops.errors import DataQualityError

# What recording adds to a row: whether a request like it is answered, and whether it may be learned
# from once its outcome is known. The latter is itself known only afterwards.
ANSWERABLE: Final = "answerable"
LEARNABLE: Final = "learnable"
_ID: Final = "row"


class FutureAccessError(RuntimeError):
    """The replay asked for what its clock has not reached: a bug that would forge its result."""


class History:
    """Everything that was recorded, of which only a `Clock` shows anything.

    Args:
        rows: What was asked, labels, `ANSWERABLE` and `LEARNABLE`; other columns are ignored.
        watching: Says which columns those are.
        delay: How long after the outcome of a row its label arrives.

    Raises:
        DataQualityError: If a column is missing.
    """

    def __init__(self, rows: pd.DataFrame, watching: Watching, delay: timedelta) -> None:
        event, outcome = watching.event, watching.outcome
        self._asked, self._labels = list(watching.asked), list(watching.labels)
        self._event = event
        wanted = [*self._asked, *self._labels, ANSWERABLE, LEARNABLE]
        missing = [name for name in wanted if name not in rows]
        if missing:
            raise DataQualityError(
                f"the recorded rows lack {', '.join(missing)}", "record them from their source"
            )
        timed = rows.loc[rows[event].notna(), wanted]
        # By what was requested, so that the order tells nothing of what came of it.
        self._rows = timed.sort_values(self._asked, kind="stable", ignore_index=True)
        self._rows.index.name = _ID
        ended = self._rows[[event, outcome]].max(axis=1)
        # A row without an outcome never gets a label.
        self._known_at = (ended + delay).where(self._rows[outcome].notna())

    def __len__(self) -> int:
        return len(self._rows)

    def clock(self, at: datetime) -> Clock:
        """Return a clock that shows what was known at a time."""
        return Clock(self, at)

    def settled(self, start: datetime, end: datetime) -> Clock:
        """Return a clock of the time when every label of ``[start, end)`` that counts was known."""
        at = self._rows[self._event]
        known = self._known_at[(at >= start) & (at < end) & self._rows[LEARNABLE]]
        return self.clock(max(end, known.max().to_pydatetime()) if len(known) else end)


class Clock:
    """A time that only moves on, and what is known by then.

    Every frame has the numbers of rows as index and is in the order of events.
    """

    def __init__(self, history: History, now: datetime) -> None:
        self._rows, self._known_at, self._now = history._rows, history._known_at, now
        self._asked, self._labels = history._asked, history._labels
        self._event = history._event

    @property
    def now(self) -> datetime:
        """The present: everything later is the future."""
        return self._now

    def advance(self, to: datetime) -> None:
        """Move on.

        Raises:
            FutureAccessError: If that would be back in time.
        """
        if to < self._now:
            raise FutureAccessError(f"the clock shows {self._now} and cannot go back to {to}")
        self._now = to

    def requests(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the requests that were answered in ``[start, end)``, as they were made.

        Returns:
            Columns of a request, nothing else.

        Raises:
            FutureAccessError: If ``end`` lies in the future.
        """
        inside = self._between(start, end) & self._rows[ANSWERABLE].to_numpy(bool)
        return self._rows.loc[inside, self._asked]

    def finished(self, start: datetime = datetime.min) -> pd.DataFrame:
        """Return the rows one may learn from: clean, their labels arrived by now.

        Args:
            start: Only events from here on.

        Returns:
            Columns of a request, and labels.
        """
        known = self._between(start, self._now) & self._arrived()
        chosen = known & self._rows[LEARNABLE].to_numpy(bool)
        return self._rows.loc[chosen, [*self._asked, *self._labels]]

    def observed(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the rows of ``[start, end)`` as they came, unclean ones included.

        Returns:
            Columns of a request, and labels, missing where not known by now.

        Raises:
            FutureAccessError: If ``end`` lies in the future.
        """
        inside = self._between(start, end)
        shown = self._rows.loc[inside, [*self._asked, *self._labels]].copy()
        shown.loc[~self._arrived()[inside], self._labels] = None
        return shown

    def _between(self, start: datetime, end: datetime) -> Any:
        if end > self._now:
            raise FutureAccessError(f"rows until {end} are not known yet: it is {self._now}")
        at = self._rows[self._event].to_numpy()
        return (at >= _moment(start)) & (at < _moment(end))

    def _arrived(self) -> Any:
        return self._known_at.to_numpy() <= _moment(self._now)


def content_sha256(rows: pd.DataFrame) -> str:
    """Hash the numbers, names and values of rows, in linear time."""
    digest = hashlib.sha256(np.ascontiguousarray(rows.index.to_numpy()).tobytes())
    for name in rows:
        values: Any = rows[name]
        digest.update(f"{name}:{values.dtype}".encode())
        if values.dtype == object:  # texts
            values = pd.util.hash_pandas_object(values, index=False)
        digest.update(np.ascontiguousarray(values.to_numpy()).view(np.uint8).data)
    return digest.hexdigest()


def _moment(time: datetime) -> np.datetime64:
    return np.datetime64(time, "us")
