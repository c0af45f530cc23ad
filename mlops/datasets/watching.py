"""What monitoring knows of a dataset: what is watched, what is a fault, and how news arrives."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.data.origins import TripOrigin
from mlops.data.references import SourceFile
from mlops.datasets.answers import ANSWER, PREDICTION
from mlops.datasets.dataset import Encoder
from mlops.errors import DataQualityError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
MonthFiles = Mapping[str, tuple[SourceFile, ...]]

# The log may keep single precision, and an interval has only as many widths as its model has bins:
# what is computed in one precision and in the other must not fall on two sides of a table's edge.
_DECIMALS: Final = 3


@dataclass(frozen=True)
class Feature:
    """One watched column.

    Attributes:
        name: Of the column.
        kind: Compared as categories or as numbers.
        unit: Of its values.
        meaning: In words, for reports.
        label: Known only afterwards.
    """

    name: str
    kind: Literal["category", "number"]
    unit: str
    meaning: str
    label: bool = False


@dataclass(frozen=True)
class WatchedRule:
    """A rule of the data contract, as far as monitoring cares.

    Attributes:
        name: Of the rule.
        asked: Whether it concerns only what is known when a prediction is asked for.
        refuses: Whether a row that breaks it is refused, and not only flagged.
    """

    name: str
    asked: bool
    refuses: bool


@dataclass(frozen=True)
class Units:
    """How a change of units is told from other changes.

    Attributes:
        feature: A watched ratio to what is usual for such rows; its median moves with the units.
        subject: What has the units, in the plural.
        usual: What they are compared with, in words.
        suspects: Factors, and what a median that is so many times the usual one means.
    """

    feature: str
    subject: str
    usual: str
    suspects: Mapping[float, str]


class Watching(Protocol):
    """What is watched of the rows of a dataset, and how they are read, judged and labelled."""

    @property
    def event(self) -> str:
        """Column of the time at which a prediction is asked for."""

    @property
    def outcome(self) -> str:
        """Column of the time at which the answer is known; the event's if it is known at once."""

    @property
    def target(self) -> str:
        """Column of what is predicted."""

    @property
    def unit(self) -> str:
        """Unit of the target; empty if it has none."""

    @property
    def plural(self) -> str:
        """What rows are called."""

    @property
    def zone(self) -> ZoneInfo:
        """Of the wall clock that events are told by."""

    @property
    def possible(self) -> tuple[datetime, datetime]:
        """The first possible time of an event, and the first after the last."""

    @property
    def label_delay(self) -> timedelta:
        """Time from an event until the source has its outcome."""

    @property
    def asked(self) -> Mapping[str, Any]:
        """Columns known when a prediction is asked for, the event first, with their types."""

    @property
    def labels(self) -> Mapping[str, Any]:
        """Columns known only afterwards, the target first, with their types."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns whose missing values are counted."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What is compared."""

    @property
    def rules(self) -> tuple[WatchedRule, ...]:
        """The rules of the data contract that concern rows of any month."""

    @property
    def strata(self) -> int:
        """How many parts of the day there are, of working days and of days off together."""

    @property
    def units(self) -> Units | None:
        """How a change of units shows; None if no ratio is watched."""

    @property
    def every_minute(self) -> bool:
        """Whether events fall on all minutes of the hour alike, unless a clock is broken."""

    def stratum(self, events: pd.Series[Any]) -> Ints:
        """Return the part of the day of each event, 0 to ``strata`` - 1."""

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each row along each dimension, as `Dataset.slices`."""

    def observe(
        self, rows: pd.DataFrame, predictions: pd.DataFrame | None, encoder: Encoder
    ) -> pd.DataFrame:
        """Compute the watched columns of rows.

        Args:
            rows: What was asked, and labels where they are known.
            predictions: `ANSWER` in the order of the rows; None if there are none.
            encoder: Of the model, frozen: an expectation that follows the window would follow its
                faults too.

        Returns:
            The columns of `features` that can be computed, float64, with the index of the rows; NaN
            where a value is missing.

        Raises:
            DataQualityError: If there are not as many predictions as rows.
        """

    def broken(self, rows: pd.DataFrame, *, labelled: bool) -> Mapping[str, Mask]:
        """Return the rows that break each rule, for rules that are broken at all.

        Args:
            rows: What was asked, with labels or without.
            labelled: Whether there are labels; without, only rules on what is asked are looked at.

        Raises:
            DataQualityError: If a column is missing or has the wrong type.
        """

    def rare(self, rows: pd.DataFrame, encoder: Encoder) -> Mapping[str, Mask]:
        """Return the rows with each property that should be rare, beyond rules and missing values.

        Args:
            rows: As for `observe`.
            encoder: Of the model.
        """

    def computed(self, rows: pd.DataFrame, encoder: Encoder) -> pd.DataFrame:
        """Return the numbers that the server computes and logs beside its answers, by column."""


class CameRows(NamedTuple):
    """Rows as they came, and what the rules say of each.

    Attributes:
        rows: With their labels.
        refused: A request like it is not answered; mask, ``(n,)``.
        unclean: Nothing may be learned from it; mask, ``(n,)``.
    """

    rows: pd.DataFrame
    refused: Mask
    unclean: Mask

    @classmethod
    def of(
        cls, rows: pd.DataFrame, broken: Mapping[str, Mask], refusing: Container[str]
    ) -> CameRows:
        """Return rows with what the rules say.

        Args:
            rows: With their labels.
            broken: The rows that break each rule after which nothing is learned from them.
            refusing: Those of the rules by which a request is refused.
        """
        refused = np.zeros(len(rows), dtype=bool)
        unclean = refused.copy()
        for name, mask in broken.items():
            unclean |= mask
            if name in refusing:
                refused |= mask
        return cls(rows, refused, unclean)


class Labels(Protocol):
    """What turned out of rows, ready to be looked up."""

    def label(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with their labels where these are known, the same rows in the same order."""


class Arriving(Protocol):
    """The source of a dataset as it grows: months, their rows, and what turned out of others."""

    @property
    def origin(self) -> TripOrigin:
        """What the source holds: a model of another origin says nothing of it."""

    def there(self, months: Iterable[str], today: date) -> MonthFiles:
        """Bring those of some months within reach that the source has.

        Raises:
            MlopsError: If the source cannot be asked, or a file is unusable.
        """

    def after(self, newest: str, today: date) -> MonthFiles:
        """Bring the months after one within reach that the source has.

        Raises:
            MlopsError: As for `there`.
        """

    def rows(self, files: Sequence[SourceFile]) -> pd.DataFrame:
        """Read rows as they came, those that break rules included, with their labels.

        Raises:
            SourceError: If a file cannot be read.
        """

    def judged(self, month: str, files: Sequence[SourceFile]) -> CameRows:
        """Read the rows of files and hold them to the rules.

        Args:
            month: Of the files, ``YYYY-MM``; empty if they hold rows of any time.
            files: To read.

        Raises:
            SourceError: If a file cannot be read.
        """

    def actual(self, files: Sequence[SourceFile]) -> Labels:
        """Read what turned out of the rows of files.

        Raises:
            SourceError: If a file cannot be read.
        """


def observed_answers(predictions: pd.DataFrame, rows: pd.DataFrame, plural: str) -> dict[str, Any]:
    """Return what is watched of predictions: the prediction, and the width of its interval.

    Args:
        predictions: `ANSWER`.
        rows: That were predicted.
        plural: What rows are called.

    Raises:
        DataQualityError: If there are not as many predictions as rows.
    """
    if len(predictions) != len(rows):
        raise DataQualityError(
            f"there are {len(rows)} {plural} and {len(predictions)} predictions",
            "give one prediction per row, in the same order",
        )
    middle, lower, upper = (finite(predictions, name) for name in ANSWER)
    return {PREDICTION: middle, "interval_width": np.round(upper - lower, _DECIMALS)}


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as numbers; NaN where it is missing, or missing altogether."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    values: Any = frame[name]
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def finite(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as numbers; infinite ones are counted elsewhere, and missing here."""
    values = numbers(frame, name)
    return np.where(np.isfinite(values), values, np.nan)
