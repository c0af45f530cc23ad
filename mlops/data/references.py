"""What blocks hand to each other: small, typed references to files, never the data itself.

Each model dumps to plain JSON (``model_dump(mode="json")``), which is all that survives a Mage
block's output store unchanged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mlops.data.origins import TripOrigin
from mlops.datasets.taxi.contract.rule_names import current_name


class Reference(BaseModel):
    """Base of all references: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SourceFile(Reference):
    """One source file as it was read."""

    month: str  # YYYY-MM the file stands for
    uri: str  # local path, or fsspec URL, of the bytes that were hashed
    name: str  # what a person knows it by
    sha256: str
    bytes: int
    rows: int


class Extraction(Reference):
    """The source files of one preparation, checked to be whole and to have the TLC schema."""

    kind: Literal["sample", "tlc", "path"]
    taxi: Literal["green", "yellow"]
    synthetic: bool  # generated data: marked wherever results are shown
    files: tuple[SourceFile, ...]

    @property
    def origin(self) -> TripOrigin:
        """What decides whether a model may be asked about these trips."""
        return TripOrigin(self.taxi, self.synthetic)

    @property
    def months(self) -> tuple[str, ...]:
        """The months covered, sorted."""
        return tuple(sorted({file.month for file in self.files}))


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
    """One parquet file holding one month of trips, sorted by pickup."""

    month: str
    uri: str
    rows: int


class ValidatedTrips(Reference):
    """Trips that satisfy the data contract, in canonical columns, staged month by month."""

    extraction: Extraction
    quality: QualityReport
    parts: tuple[TripPart, ...]


class FeatureTable(Reference):
    """Validated trips plus the route history known as of each trip's day, staged by month."""

    extraction: Extraction
    quality: QualityReport
    parts: tuple[TripPart, ...]
    feature_version: str


class Window(Reference):
    """A half-open interval of pickup times and the rows in it."""

    start: datetime
    end: datetime
    rows: int


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
    code_commit: str
    created_at: datetime
    # settings it was made by, by section
    recipe: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def windows(self) -> dict[str, Window]:
        """The three windows by name, in order of time."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class RouteStatisticsManifest(Reference):
    """The data product `route_statistics`: route history frozen at the windows' boundaries."""

    product: Literal["route_statistics"] = "route_statistics"
    sha256: str
    uri: str  # folder of the snapshots
    training_set: str  # hash of the training set it was computed from
    at_validation: str  # file: history up to the start of validation, for the search
    at_test: str  # file: history up to the start of test, for the refit
    latest: str  # file: all history, for what comes after
    created_at: datetime
