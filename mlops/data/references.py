"""What blocks hand to each other: small, typed references to files, never the data itself.

Each model dumps to plain JSON (``model_dump(mode="json")``), which is all that survives a Mage
block's output store unchanged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mlops.counting import counted
from mlops.data.origins import TripOrigin
from mlops.datasets.taxi.contract.rule_names import current_name
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET


class Reference(BaseModel):
    """Base of all references: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SourceFile(Reference):
    """One source file as it was read."""

    month: str  # YYYY-MM the file stands for; empty if it holds rows of any time
    uri: str  # local path, or fsspec URL, of the bytes that were hashed
    name: str  # what a person knows it by
    sha256: str
    bytes: int
    rows: int


class Extraction(Reference):
    """The source files of one preparation, checked to be whole and to have the right columns."""

    dataset: str = "taxi"  # name of its definition
    kind: Literal["sample", "tlc", "path"]
    taxi: Literal["green", "yellow", ""] = ""  # whose trips; empty for every other dataset
    synthetic: bool  # generated data: marked wherever results are shown
    files: tuple[SourceFile, ...]
    covered: tuple[str, ...] = ()  # months of the rows, where the files do not tell

    @property
    def origin(self) -> TripOrigin:
        """What decides whether a model may be asked about these rows."""
        return TripOrigin(self.taxi, self.synthetic, self.dataset)

    @property
    def months(self) -> tuple[str, ...]:
        """The months covered, sorted."""
        return tuple(sorted({file.month for file in self.files} - {""} | {*self.covered}))


class RuleCount(Reference):
    """How often one rule of the data contract was broken."""

    rule: Annotated[str, BeforeValidator(current_name)]  # also of what was stored before
    action: Literal["quarantine", "flag"]
    rows: int
    share: float  # of the rows read
    meaning: str  # the rule in words


class QualityReport(Reference):
    """What validation found."""

    rows_read: int
    rows_kept: int
    rows_quarantined: int
    bad_share: float
    rules: tuple[RuleCount, ...]
    quarantine_uri: str | None  # folder of parquet files: the bad rows and their `reasons`


class TripPart(Reference):
    """One parquet file holding one month of rows, sorted by their event."""

    month: str
    uri: str
    rows: int


class ValidatedTrips(Reference):
    """Rows that satisfy the data contract, in canonical columns, staged month by month."""

    extraction: Extraction
    quality: QualityReport
    parts: tuple[TripPart, ...]


class FeatureTable(Reference):
    """Validated rows plus the history known as of the day of each, staged by month."""

    extraction: Extraction
    quality: QualityReport
    parts: tuple[TripPart, ...]
    feature_version: str
    target: str = TARGET  # the column that is predicted
    event: str = PICKUP_AT  # the column with the time at which a prediction is asked for


class Window(Reference):
    """A half-open interval of the times of rows, and the rows in it."""

    start: datetime | None  # None where rows have no time
    end: datetime | None
    rows: int

    def __str__(self) -> str:
        """Its first and last moment by their days, where rows have a time; and its rows."""
        days = f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}, " if self.start else ""
        return f"{days}{counted(self.rows, 'row')}"

    @property
    def begins(self) -> datetime:
        """Its start, for what is about time."""
        return _known(self.start)

    @property
    def ends(self) -> datetime:
        """Its end, for what is about time."""
        return _known(self.end)


class TrainingSetManifest(Reference):
    """The data product `training_set`: an immutable snapshot, named by the hash of its content."""

    product: Literal["training_set"] = "training_set"
    sha256: str
    uri: str  # folder of the snapshot
    rows: int
    columns: dict[str, str]
    parts: tuple[TripPart, ...]
    train: Window
    validation: Window
    test: Window
    extraction: Extraction
    quality: QualityReport
    feature_version: str
    target: str = TARGET  # as in `FeatureTable`, as is the event
    event: str = PICKUP_AT
    code_commit: str
    created_at: datetime
    # settings it was made by, by section
    recipe: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The name of the dataset."""
        return self.extraction.dataset

    @property
    def windows(self) -> dict[str, Window]:
        """The three windows by name, in order of time."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class RouteStatisticsManifest(Reference):
    """The data product `route_statistics`: histories frozen at the boundaries of the windows."""

    product: Literal["route_statistics"] = "route_statistics"
    sha256: str
    uri: str  # folder of the snapshots
    training_set: str  # hash of the training set it was computed from
    at_validation: str  # file: history up to the start of validation, for the search
    at_test: str  # file: history up to the start of test, for the refit
    latest: str  # file: all history, for what comes after
    created_at: datetime


def _known(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("the rows of this dataset have no time")
    return moment
