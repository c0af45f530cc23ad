"""What reports are written from: gathered once, so that writing needs nothing but values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.data.references import SourceFile, TrainingSetManifest
from mlops.datasets.wording import DatasetWords
from mlops.reports.examination import Examination
from mlops.reports.numbers import Amounts

if TYPE_CHECKING:
    from mlops.deployment.records import DeploymentRecord
    from mlops.evaluation.insight import Insight
    from mlops.monitoring.findings.records import DecisionRecord, WindowRecord
    from mlops.registry.selections import Selection
    from mlops.registry.trail import Promotion
    from mlops.registry.versions import VersionInfo


@dataclass(frozen=True)
class CardFacts:
    """Everything known of a version.

    Attributes:
        model_name: Of the registered model.
        info: The version with its evidence; without any if it was registered by hand.
        words: Of its dataset.
        made_at: With time zone.
        manifest: Of its training set; None if that is not in the store any more.
        examination: What a second look at its test window found; None if that is not possible.
        missing: Sentences: what is not known, and why.
        trail: Every change of the champion, newest first.
        deployments: Of this version, newest first.
        windows: That monitoring looked at with this version, the latest last.
        min_rows: Groups with fewer rows are shown, not judged.
    """

    model_name: str
    info: VersionInfo
    words: DatasetWords
    made_at: datetime
    manifest: TrainingSetManifest | None = None
    examination: Examination | None = None
    missing: tuple[str, ...] = ()
    trail: tuple[Promotion, ...] = ()
    deployments: tuple[DeploymentRecord, ...] = ()
    windows: tuple[WindowRecord, ...] = ()
    min_rows: int = 200

    @property
    def synthetic(self) -> bool:
        """Whether it learned from generated rows, as far as is known."""
        return bool(self.info.receipt and self.info.receipt.synthetic)

    @property
    def amounts(self) -> Amounts:
        """How amounts of its target are written."""
        if self.examination is not None:
            return Amounts.like(self.examination.overall.mae.value, self.words)
        return amounts_of(self.info, self.words)

    @property
    def sources(self) -> tuple[SourceFile, ...]:
        """The files it learned from, with their hashes."""
        if self.manifest is not None:
            return self.manifest.extraction.files
        return self.info.receipt.sources if self.info.receipt else ()


@dataclass(frozen=True)
class RunFacts:
    """Everything known of a model selection.

    Attributes:
        selection: Its record.
        words: Of the dataset.
        made_at: With time zone.
        manifest: Of the training set; None if that is not in the store any more.
        insights: What each candidate tells of its search, by family; those that tell something.
        missing: Sentences: what is not known, and why.
        min_rows: Slices with fewer rows are shown without a drawing.
    """

    selection: Selection
    words: DatasetWords
    made_at: datetime
    manifest: TrainingSetManifest | None = None
    insights: Mapping[str, Insight] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    min_rows: int = 200

    @property
    def amounts(self) -> Amounts:
        """How amounts of the target are written."""
        return Amounts.like(self.selection.evaluation.metrics.mae, self.words)


@dataclass(frozen=True)
class WindowFacts:
    """Everything known of a monitored window.

    Attributes:
        record: What was found.
        words: Of the dataset.
        made_at: With time zone.
        watched: Meaning of each column that monitoring watches.
        info: Version that answered; None if the registry does not know it.
        history: Windows of the same version up to this one, the latest last.
        decision: The last decision that looked at the window; None if none did yet.
        missing: Sentences: what is not known, and why.
    """

    record: WindowRecord
    words: DatasetWords
    made_at: datetime
    watched: Mapping[str, str] = field(default_factory=dict)
    info: VersionInfo | None = None
    history: tuple[WindowRecord, ...] = ()
    decision: DecisionRecord | None = None
    missing: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the model learned from generated rows, as far as is known."""
        return bool(self.info and self.info.receipt and self.info.receipt.synthetic)

    @property
    def amounts(self) -> Amounts:
        """How amounts of the target are written."""
        return amounts_of(self.info, self.words)


def amounts_of(info: VersionInfo | None, words: DatasetWords) -> Amounts:
    """Return how amounts are written in a report on a version."""
    evaluation = info.evaluation if info else None
    return Amounts.like(evaluation.metrics.mae if evaluation else None, words)
