"""The record of a deployment or a rollback: who, why, from which version, and every step.

Steps are only ever appended, and the state is what they add up to. One file per deployment,
replaced whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import Field

from mlops.data.references import Reference
from mlops.deployment.states import FINAL, SUCCESSES, Event, Kind, State, advance, state_after
from mlops.errors import ConfigurationError, DamagedFileError, DeploymentError
from mlops.records.files import report
from mlops.records.folder import RecordFolder


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(timezone.utc)


class RunKey(Reference):
    """A pipeline run, named so that a rebuilt database of Mage cannot confuse two of them.

    Attributes:
        id: Its number; empty outside Mage.
        partition: Where Mage keeps its outputs: trigger and time.
    """

    id: str = ""
    partition: str = ""


class DeploymentStep(Reference):
    """One thing that happened."""

    at: datetime
    event: Event
    decision: str  # in words
    evidence: dict[str, Any] = Field(default_factory=dict)
    by: str


class DeploymentRecord(Reference):
    """Everything about one deployment or rollback.

    Attributes:
        id: Time and version.
        kind: Whether it brings a version forward or a former one back.
        version: That is to be champion.
        from_version: Champion when it began; None if there was none.
        asked: What was asked for, a number or an alias.
        by: Who asked.
        reason: Why.
        run: The pipeline run that does the work.
        started_at: With time zone.
        steps: Oldest first.
    """

    id: str
    kind: Kind
    version: int
    from_version: int | None
    asked: str
    by: str
    reason: str
    run: RunKey
    started_at: datetime
    steps: tuple[DeploymentStep, ...] = ()

    @property
    def state(self) -> State:
        """Where it stands."""
        return state_after(self.kind, (step.event for step in self.steps))

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return self.state in FINAL

    @property
    def summary(self) -> str:
        """What was decided last, in words."""
        return self.steps[-1].decision if self.steps else "it has begun"

    def after(
        self, event: Event, decision: str, by: str = "", evidence: dict[str, Any] | None = None
    ) -> DeploymentRecord:
        """Return the record with one more step.

        Raises:
            DeploymentError: If that cannot happen now.
        """
        advance(self.state, event)
        step = DeploymentStep(
            at=now(), event=event, decision=decision, evidence=evidence or {}, by=by or self.by
        )
        return self.model_copy(update={"steps": (*self.steps, step)})

    def require_success(self) -> None:
        """Raise what a finished deployment that did not succeed means to its caller.

        Raises:
            DeploymentError: With the reason.
        """
        if self.is_over and self.state not in SUCCESSES:
            title = f"{self.kind} {self.id} of version {self.version}"
            raise DeploymentError(
                f"{title} {self.state.replace('_', ' ')}: {self.summary}",
                f"see every step: mlops deployments {self.id}",
            )


@dataclass(frozen=True)
class Records:
    """The records of a home.

    Args:
        folder: `settings.deployments`.
    """

    folder: Path

    @property
    def _files(self) -> RecordFolder[DeploymentRecord]:
        way_out = "restore {path} from a backup, or remove it: only this entry of the list is lost"
        return RecordFolder(self.folder, DeploymentRecord, way_out, "[0-9]*.json")

    def save(self, record: DeploymentRecord) -> None:
        """Write a record, whole or not at all."""
        self._files.write(record.id, record)

    def load(self, id_: str) -> DeploymentRecord:
        """Return a record.

        Raises:
            ConfigurationError: If there is none with this id.
            DamagedFileError: If its file is damaged.
        """
        record = self._files.find(id_)
        if record is None:
            raise ConfigurationError(
                f"there is no deployment {id_!r}", "list them with: mlops deployments"
            )
        return record

    def all(self, on_damage: Callable[[DamagedFileError], None] = report) -> list[DeploymentRecord]:
        """Return all records, newest first; damaged ones are left out with a warning."""
        records = self._files.all(on_damage=on_damage)
        return sorted(records, key=lambda record: (record.started_at, record.id), reverse=True)

    def newest(self, wanted: Callable[[DeploymentRecord], bool]) -> DeploymentRecord | None:
        """Return the newest record for which ``wanted`` holds, or None."""
        return next(filter(wanted, self.all()), None)

    def of_run(self, run: RunKey) -> DeploymentRecord | None:
        """Return the record of a pipeline run that was interrupted, or None."""
        return self.newest(lambda record: record.run == run) if run.id else None

    def new_id(self, version: int) -> str:
        """Return an id that no record has: the time, to the second, and the version."""
        at = now()
        while (self.folder / f"{_id(at, version)}.json").exists():
            at += timedelta(seconds=1)
        return _id(at, version)


def _id(at: datetime, version: int) -> str:
    return f"{at:%Y%m%dT%H%M%S}-v{version}"
