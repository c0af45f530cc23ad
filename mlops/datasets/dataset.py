"""What the rest of the library knows of a problem: a dataset, its features, and how they lie.

Nothing beyond this folder knows more. `mlops.datasets.opening` finds the dataset of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.data.references import (
    Extraction,
    FeatureTable,
    RouteStatisticsManifest,
    TrainingSetManifest,
    ValidatedTrips,
)
from mlops.datasets.scoring import RequestFiles
from mlops.datasets.wording import DatasetWords
from mlops.errors import DataQualityError
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.datasets.watching import Arriving, Watching

Matrix = npt.NDArray[np.float32]
Target = npt.NDArray[np.float64]
# Columns of equal length by name. Arrays spare the server what a frame costs to build.
Columns: TypeAlias = "pd.DataFrame | Mapping[str, npt.NDArray[Any]]"


@dataclass(frozen=True)
class Stratum:
    """A feature by whose values the errors of rows differ, for prediction intervals.

    Attributes:
        feature: Its name.
        groups: Of a feature of codes: the group of each code, and of what has none. Empty: the
            feature is a number, and shares of its values are the groups.
    """

    feature: str
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class FeatureLayout:
    """The columns of a matrix of features, and what a model has to know of their meaning.

    Attributes:
        names: Of the columns, in order.
        codes: Features that hold codes, with how many there are; what has no code is NaN.
        clock: The features with the minute of the day and the weekday, if there are both.
        grouping: Features of codes, the broadest first, whose combination names a row's group.
        strata: By which prediction intervals are calibrated.
    """

    names: tuple[str, ...]
    codes: Mapping[str, int] = field(default_factory=dict)
    clock: tuple[str, str] | None = None
    grouping: tuple[str, ...] = ()
    strata: tuple[Stratum, ...] = ()

    @cached_property
    def column(self) -> Mapping[str, int]:
        """The position of each feature."""
        return {name: position for position, name in enumerate(self.names)}

    def codes_in(self, features: Matrix, name: str) -> npt.NDArray[np.int64]:
        """Return the codes of a feature, ``(n,)``; what has none is one beyond the last."""
        values = features[:, self.column[name]]
        return np.where(np.isnan(values), self.codes[name], values).astype(np.int64)


class Division(NamedTuple):
    """Rows that a model learns from, that choose its parameters, and that judge it.

    Attributes:
        train: Mask, ``(n,)``; likewise the next two, none of which overlap.
        validation: See above.
        test: See above.
        validation_from: Midnight at which validation begins.
        test_from: Midnight at which the test begins.
    """

    train: npt.NDArray[np.bool_]
    validation: npt.NDArray[np.bool_]
    test: npt.NDArray[np.bool_]
    validation_from: datetime
    test_from: datetime


@dataclass(frozen=True)
class GoldenRequests:
    """Requests that every deployment asks, of the artifact and of the endpoint.

    Attributes:
        rows: As a model takes them.
        bodies: The same as JSON, one per row, as the server takes them.
    """

    rows: pd.DataFrame
    bodies: Sequence[Mapping[str, Any]]


class Encoder(Protocol):
    """The one way from rows to numbers; part of a model, so that it answers the same everywhere."""

    @property
    def layout(self) -> FeatureLayout:
        """What the columns of its matrices are."""

    @property
    def sha256(self) -> str:
        """Hash of what it knows of the past."""

    def encode(self, frame: Any, *, history: bool = False) -> Matrix:
        """Encode rows, ``(n, features)``; NaN where unknown.

        Args:
            frame: What is known when a prediction is asked for, as a frame or as arrays by name.
            history: Take what is known of the past from the frame: what was known on the day of
                each row, which is what a model must learn from. Otherwise what the encoder knows.

        Raises:
            DataQualityError: If a needed column is missing.
        """


class Dataset(Protocol):
    """A problem: how its rows are prepared, and how models of it are trained and judged."""

    @property
    def name(self) -> str:
        """In commands, folders and the registry."""

    @property
    def target(self) -> str:
        """Column of what is predicted."""

    @property
    def event(self) -> str:
        """Column of the time at which a prediction is asked for; empty where there is none."""

    @property
    def zone(self) -> ZoneInfo:
        """Of the wall clock that events are told by."""

    @property
    def unit(self) -> str:
        """Unit of the target, in short; empty if it has none."""

    @property
    def answer(self) -> str:
        """Field of the server's answers that holds the prediction."""

    @property
    def answer_bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets in which predictions are counted, ascending and finite."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns of rows whose missing values are counted."""

    @property
    def floors(self) -> Mapping[str, float]:
        """Largest errors with which a model may pass the gate: ``rmse``, ``mae``."""

    def definition_files(self, settings: Settings) -> tuple[Path, ...]:
        """Return the files, beside those of rows, that decide what is prepared."""

    def extract(self, settings: Settings) -> Extraction:
        """Bring the rows asked for within reach and prove each file whole.

        Raises:
            SourceError: Naming the file that is missing or unusable.
        """

    def as_extracted(self, extraction: Extraction, settings: Settings) -> Settings:
        """Return the configuration that asks for just the files that were found."""

    def validate(self, extraction: Extraction, settings: Settings) -> ValidatedTrips:
        """Hold every row to the data contract, and stage those that are kept.

        Raises:
            DataQualityError: If too many rows are bad, or too few are left.
        """

    def build(self, validated: ValidatedTrips, settings: Settings) -> FeatureTable:
        """Add to each row what was known on its day."""

    def freeze(
        self, training_set: TrainingSetManifest, settings: Settings
    ) -> RouteStatisticsManifest:
        """Publish what the past tells at the boundaries of the windows."""

    def history(self, file: Path) -> Any:
        """Read what is known of the past, as `mlops.datasets` wrote it.

        Raises:
            MlopsError: If the file is missing or damaged.
        """

    def divide(self, rows: pd.DataFrame, months: Sequence[str], settings: Settings) -> Division:
        """Divide the rows of some months, in which nothing of a later time is known.

        Args:
            rows: With times of events and outcomes.
            months: ``YYYY-MM``, oldest first.
            settings: Lengths of the windows.

        Raises:
            MlopsError: If a window would be empty.
        """

    def annotate(self, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
        """Compute what was known of the past on the day of each row, with the index of the rows."""

    def past(self, rows: pd.DataFrame, as_of: datetime, settings: Settings) -> Any:
        """Compute what rows tell of the past on the morning of a day."""

    def past_at_test(self, manifest: TrainingSetManifest, settings: Settings) -> Any:
        """Compute what a training set tells of the past when its test window begins."""

    def encoder(self, rows: pd.DataFrame, history: Any) -> Encoder:
        """Return an encoder for models that learn from rows.

        Args:
            rows: That the model learns from.
            history: What is known of the past when the model will be asked: from `history` or
                `past_at_test`.
        """

    def golden_requests(self, encoder: Any) -> GoldenRequests:
        """Make requests that a server accepts: always the same for the same encoder.

        Raises:
            DataQualityError: If the rules leave none.
        """

    def require(self, encoder: Encoder, version: int) -> None:
        """Make sure that a model answers requests about this dataset.

        Raises:
            MlopsError: If it learned from another dataset, or from other columns of this one.
        """

    def request_files(self, settings: Settings) -> RequestFiles:
        """Return how files of rows to predict are read, judged and named in the output."""

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each row along each dimension by which errors are compared.

        Returns:
            One categorical column per dimension, same index; only slices that occur are categories,
            in their natural order.
        """

    @property
    def words(self) -> DatasetWords:
        """How people speak of it."""

    def source_in_words(self, settings: Settings) -> str:
        """Say in one line where the rows asked for come from."""

    def as_learned(self, encoder: Encoder) -> Dataset:
        """Return it as it was when a model with this encoder learned from it."""

    def groups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the groups by which reports compare errors: the slices, and perhaps others."""

    def clusters(self, rows: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Number, from 0, the rows that may be alike and so are resampled together, ``(n,)``."""

    def exemplary(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Tell which rows are complete and plain enough to explain a model by, ``(n,)``."""

    def described(self, row: pd.Series[Any]) -> str:
        """Return what is known of a row when a prediction is asked for, in words."""

    def watching(self, settings: Settings) -> Watching:
        """Return what monitoring watches, and by which rules.

        Raises:
            ConfigurationError: If rows have no order in time by which windows could be compared.
        """

    def arriving(self, settings: Settings) -> Arriving:
        """Return the source as it grows."""


def training_matrix(encoder: Encoder, rows: pd.DataFrame, target: str) -> tuple[Matrix, Target]:
    """Encode rows to learn from, with what was known on the day of each.

    Args:
        encoder: Of the model.
        rows: Of a window of the training set.
        target: Column of what is predicted.

    Returns:
        Features, ``(n, features)``, and answers, ``(n,)``.

    Raises:
        DataQualityError: If there are no rows, or a column is missing.
    """
    if rows.empty or target not in rows:
        what = f"lack {target}" if not rows.empty else "are none"
        raise DataQualityError(
            f"the rows to learn from {what}", "train on a window of the training set"
        )
    return encoder.encode(rows, history=True), rows[target].to_numpy(dtype=np.float64)
