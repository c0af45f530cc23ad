"""The reference profile of a model version: what its world looked like, and how quiet it is.

Small JSON, stored with the version: counts and sums by part of the day, never rows; and beside
them the limits earned on the same history, so that a window is judged without any of it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from mlops.evaluation.results import Result
from mlops.monitoring.reference.nulls import Nulls
from mlops.monitoring.reference.tables import ErrorTable, FeatureCounts, ShareTable
from mlops.records.files import read_record, write_record

FILE_NAME: Final = "reference_profile.json"


class Calibration(Result):
    """What "no change" looks like, learned from windows of history.

    Attributes:
        nulls: Expectation and spread of each statistic.
        limits: Per kind of finding, the deviation that its worst statistic exceeds in the allowed
            share of quiet windows.
        windows: How many windows were looked at; they overlap.
        false_alarms: The allowed share of quiet windows with an alarm of any kind.
    """

    nulls: Nulls
    limits: dict[str, float]
    windows: int
    false_alarms: float


class ReferenceProfile(Result):
    """Everything a window is compared with.

    Attributes:
        format: Raise it when a statistic changes its meaning: an old profile's limits do not hold
            for it.
        version: Of the model.
        created_at: With time zone.
        start: First event of the reference.
        end: Last event.
        tested_from: Rows from here on were not learned from: errors are theirs.
        rows: Of the reference, those that break rules included.
        shortest: No prediction of the model is below.
        longest: No prediction is above.
        features: Distributions of the watched columns.
        shares: How often each rule is broken and each column missing.
        errors: Of the predictions, overall and by slice.
        calibration: What "no change" looks like; None while it is being learned.
    """

    format: Literal[1] = 1
    version: str
    created_at: datetime
    start: datetime
    end: datetime
    tested_from: datetime
    rows: int
    shortest: float
    longest: float
    features: tuple[FeatureCounts, ...]
    shares: tuple[ShareTable, ...]
    errors: tuple[ErrorTable, ...]
    calibration: Calibration | None = None

    def save(self, path: Path) -> None:
        """Write the profile to one JSON file, whole or not at all."""
        write_record(path, self, indent=None)

    @classmethod
    def load(cls, path: Path) -> ReferenceProfile:
        """Read a profile written by `save`.

        Raises:
            FileNotFoundError: If there is no such file.
            DamagedFileError: If the file is damaged, or of another version of the project.
        """
        return read_record(path, cls, "remove {path}: it is fetched or built again when needed")
