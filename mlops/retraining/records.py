"""What each retraining did and why, one file per run, and the model that waits for approval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

from mlops.data.references import Reference
from mlops.errors import DamagedFileError
from mlops.records import files
from mlops.records.folder import RecordFolder
from mlops.registry.standing import model_ids
from mlops.retraining.decision import RetrainingDecision
from mlops.settings import Settings

_WAY_OUT: Final = "restore {path} from a backup, or remove it: only that run's entry is lost"


class RetrainingRecord(Reference):
    """One retraining.

    Attributes:
        run_id: Mage's pipeline run.
        trigger: What started it.
        status: A run that ``failed`` or was ``cancelled`` is ``completed`` once resumed to its end.
        summary: The outcome in a sentence.
        decision: Why it ran and on which months.
        training_set: Hash of the training set that was built.
        candidates: Family, status and errors of each candidate.
        verdict: The gate's, in words.
        version: Registered, if the gate let the winner pass.
        deployment: What became of that version, in words.
        started_at: UTC.
        ended_at: UTC.
    """

    run_id: int
    trigger: str
    status: Literal["running", "nothing to do", "completed", "failed", "cancelled"]
    summary: str
    decision: RetrainingDecision
    training_set: str = ""
    candidates: tuple[dict[str, Any], ...] = ()
    verdict: str = ""
    version: int | None = None
    deployment: str = ""
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def ended_well(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status in ("completed", "nothing to do")


class PendingApproval(Reference):
    """A version that passed the gate and waits for somebody to let it replace the champion.

    Attributes:
        version: By number.
        model_id: Of that version: another registry may have another one of its number. Empty if the
            registry could not be asked at once, and in records of before it was noted.
        reason: Of the retraining.
        verdict: The gate's, in words.
        run_id: Mage's pipeline run of the retraining.
        requested_at: UTC.
    """

    version: int
    model_id: str = ""
    reason: str
    verdict: str
    run_id: int
    requested_at: datetime


def write_record(settings: Settings, record: RetrainingRecord) -> None:
    """Store a record in place of the one its run has."""
    _records(settings).write(_name(record.run_id), record)


def read_record(settings: Settings, run_id: int) -> RetrainingRecord | None:
    """Return the record of a run, if it has one.

    Raises:
        DamagedFileError: If its file is damaged.
    """
    return _records(settings).find(_name(run_id))


def newest_record(settings: Settings) -> RetrainingRecord | None:
    """Return the record of the newest retraining, if there was one.

    Raises:
        DamagedFileError: If its file is damaged: an older one is no substitute.
    """
    paths = _records(settings).paths()
    return _records(settings).find(paths[-1].stem) if paths else None


def all_records(
    settings: Settings, on_damage: Callable[[DamagedFileError], None] = files.report
) -> tuple[RetrainingRecord, ...]:
    """Return the records of all retrainings, oldest first; damaged ones are logged."""
    return tuple(_records(settings).all(on_damage=on_damage))


def close_record(settings: Settings, run_id: int, status: str, error: str) -> None:
    """Note that a run ended before its last block could say how."""
    record = read_record(settings, run_id)
    if record is not None and record.status == "running" and status in ("failed", "cancelled"):
        changes = {"status": status, "summary": error or status, "ended_at": now()}
        write_record(settings, record.model_copy(update=changes))


def ask_for_approval(settings: Settings, approval: PendingApproval) -> None:
    """Let a version wait for approval, in place of the one that waited before."""
    files.write_record(_approval_path(settings), approval)


def pending_approval(settings: Settings) -> PendingApproval | None:
    """Return the version of this registry that waits for approval, if one does.

    Raises:
        DamagedFileError: If the file that names it is damaged.
    """
    way_out = "remove {path}, then deploy the version that waited: mlops deploy challenger"
    pending = files.find_record(_approval_path(settings), PendingApproval, way_out)
    if pending is None or not pending.model_id:
        return pending
    here = model_ids(settings).get(pending.version, pending.model_id)
    return pending if pending.model_id == here else None


def settle_approval(settings: Settings, version: int) -> None:
    """Note that a version waits no more."""
    pending = pending_approval(settings)
    if pending is not None and pending.version == version:
        _approval_path(settings).unlink()


def now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(timezone.utc)


def _records(settings: Settings) -> RecordFolder[RetrainingRecord]:
    return RecordFolder(settings.retrainings, RetrainingRecord, _WAY_OUT)


def _name(run_id: int) -> str:
    return f"{run_id:04d}"


def _approval_path(settings: Settings) -> Path:
    return settings.runs / "pending_approval.json"
