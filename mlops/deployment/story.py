"""A deployment in words: what was checked, what was decided and why, and how to undo it."""

from __future__ import annotations

from typing import Final

from mlops.deployment.records import DeploymentRecord
from mlops.deployment.states import Event
from mlops.settings import DEFAULT_DATASET, dataset_option

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


def tell(
    record: DeploymentRecord,
    champion: int | None,
    *,
    can_undo: bool = True,
    dataset: str = DEFAULT_DATASET,
) -> list[str]:
    """Return the story of a deployment or rollback, line by line.

    Args:
        record: Finished or not.
        champion: The version that is champion now.
        can_undo: What is proposed for undoing it would work.
        dataset: Of the versions.
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
    now = "No version is champion." if champion is None else f"Version {champion} is champion."
    return [*lines, now + (_undo(record, champion, dataset) if can_undo else "")]


def _mark(event: Event) -> str:
    return "✗" if event in _BAD else "–" if event in _SKIPPED else "✓"


def _undo(record: DeploymentRecord, champion: int | None, dataset: str) -> str:
    if champion != record.version or record.state != "kept" or not record.from_version:
        return ""
    back = "rollback" if record.kind == "deployment" else f"deploy {record.from_version}"
    return f" Undo: mlops {back}{dataset_option(dataset)}"
