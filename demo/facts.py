"""What happened in the demonstration, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mlops.errors import MlopsError
from mlops.monitoring.findings.measurements import ALL_ROWS
from mlops.monitoring.findings.records import WindowRecord

T = TypeVar("T")


@dataclass
class DemoFacts:
    """What happened, in numbers; filled in as the story goes on.

    Attributes:
        offline: RMSE of the first champion on its test window, minutes.
        quiet: Live RMSE while the city is quiet.
        drifted: Live RMSE of the same champion after the bridge was closed.
        recovered: Live RMSE of the version that learned from it.
        first: Version that was champion at first.
        second: Version that is champion at the end.
        answered: Requests by version, while the new one was trained and brought in.
        seconds: How long each step took, by name.
    """

    offline: float = math.nan
    quiet: float = math.nan
    drifted: float = math.nan
    recovered: float = math.nan
    first: int = 0
    second: int = 0
    answered: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def live_rmse(windows: Sequence[WindowRecord]) -> float:
    """Return the RMSE of all trips of some windows together, minutes.

    Raises:
        MlopsError: If none of them has labels.
    """
    found = [
        finding
        for window in windows
        for finding in window.report.findings
        if (finding.kind, finding.subject, finding.statistic) == ("performance", ALL_ROWS, "rmse")
    ]
    rows = sum(finding.rows for finding in found)
    if not rows:
        raise MlopsError("no trip of these windows has ended", "publish their month in the source")
    return math.sqrt(sum(f.rows * f.value**2 for f in found) / rows)


def required(found: T | None) -> T:
    """Return what must be on record by now.

    Raises:
        MlopsError: If it is not.
    """
    if found is None:
        raise MlopsError("a record of the demonstration is missing", "run it again")
    return found
