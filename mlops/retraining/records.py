"""What each retraining did and why, one file per run, and the model that waits for approval."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from mlops.data.atomic import atomic_file
from mlops.data.references import Reference
from mlops.retraining.decision import Decision
from mlops.settings import Settings


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
    decision: Decision
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
    """A version that passed the gate and waits for somebody to let it replace the champion."""

    version: int
    reason: str
    verdict: str
    run_id: int
    requested_at: datetime


def write_record(settings: Settings, record: RetrainingRecord) -> None:
    """Store a record in place of the one its run has."""
    _write(_record_path(settings, record.run_id), record)


def read_record(settings: Settings, run_id: int) -> RetrainingRecord | None:
    """Return the record of a run, if it has one."""
    path = _record_path(settings, run_id)
    return RetrainingRecord.model_validate_json(path.read_bytes()) if path.exists() else None


def newest_record(settings: Settings) -> RetrainingRecord | None:
    """Return the record of the newest retraining, if there was one."""
    paths = sorted(_record_path(settings, 0).parent.glob("*.json"))
    return RetrainingRecord.model_validate_json(paths[-1].read_bytes()) if paths else None


def all_records(settings: Settings) -> tuple[RetrainingRecord, ...]:
    """Return the records of all retrainings, oldest first."""
    paths = sorted(_record_path(settings, 0).parent.glob("*.json"))
    return tuple(RetrainingRecord.model_validate_json(path.read_bytes()) for path in paths)


def close_record(settings: Settings, run_id: int, status: str, error: str) -> None:
    """Note that a run ended before its last block could say how."""
    record = read_record(settings, run_id)
    if record is not None and record.status == "running" and status in ("failed", "cancelled"):
        changes = {"status": status, "summary": error or status, "ended_at": now()}
        write_record(settings, record.model_copy(update=changes))


def ask_for_approval(settings: Settings, approval: PendingApproval) -> None:
    """Let a version wait for approval, in place of the one that waited before."""
    _write(_approval_path(settings), approval)


def pending_approval(settings: Settings) -> PendingApproval | None:
    """Return the version that waits for approval, if one does."""
    path = _approval_path(settings)
    return PendingApproval.model_validate_json(path.read_bytes()) if path.exists() else None


def settle_approval(settings: Settings, version: int) -> None:
    """Note that a version waits no more."""
    pending = pending_approval(settings)
    if pending is not None and pending.version == version:
        _approval_path(settings).unlink()


def now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(timezone.utc)


def _write(path: Path, content: Reference) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(content.model_dump_json(indent=1), encoding="utf-8")


def _record_path(settings: Settings, run_id: int) -> Path:
    return settings.home / "runs" / "retraining" / f"{run_id:04d}.json"


def _approval_path(settings: Settings) -> Path:
    return settings.home / "runs" / "pending_approval.json"
