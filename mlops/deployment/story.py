"""A deployment in words: what was checked, what was decided and why, and how to undo it."""

from __future__ import annotations

from typing import Final

from mlops.deployment.records import DeploymentRecord
from mlops.deployment.states import Event

_BAD: Final[frozenset[Event]] = frozenset(
    {
        "artifact_failed",
        "shadow_failed",
        "canary_failed",
        "champion_changed",
        "smoke_failed",
        "rolled_back",
        "left_unproven",
        "interrupted",
        "stopped",
    }
)
_SKIPPED: Final[frozenset[Event]] = frozenset(
    {"already_champion", "canary_skipped", "smoke_skipped", "nothing_to_restore"}
)


def tell(record: DeploymentRecord, champion: int | None, *, can_undo: bool = True) -> list[str]:
    """Return the story of a deployment or rollback, line by line.

    Args:
        record: Finished or not.
        champion: The version that is champion now.
        can_undo: What is proposed for undoing it would work.
    """
    before = "none" if record.from_version is None else f"version {record.from_version}"
    lines = [
        f"{record.kind.capitalize()} {record.id}: version {record.version}, champion before: "
        f"{before}",
        f"  requested by {record.by}: {record.reason}",
        *(f"  {step.at:%H:%M:%S} {_mark(step.event)} {step.decision}" for step in record.steps),
    ]
    if not record.is_over:
        lines.append(f"  … {record.state}")
    return [*lines, _now(record, champion, can_undo)]


def _mark(event: Event) -> str:
    return "✗" if event in _BAD else "–" if event in _SKIPPED else "✓"


def _now(record: DeploymentRecord, champion: int | None, can_undo: bool) -> str:
    if champion is None:
        return "No version is champion."
    now = f"Version {champion} is champion."
    if champion != record.version or not can_undo:  # somebody has moved on, or nothing is left
        return now
    if record.state == "kept" and record.kind == "deployment" and record.from_version:
        return f"{now} Undo: mlops rollback"
    if record.kind == "rollback" and record.state == "kept":
        return f"{now} Undo: mlops deploy {record.from_version}"
    return now
