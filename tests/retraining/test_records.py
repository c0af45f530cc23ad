"""The version that waits for approval: of this registry, or of none that can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.retraining import records
from mlops.retraining.records import PendingApproval, ask_for_approval, now, pending_approval
from mlops.settings import load_settings


@pytest.mark.parametrize(
    ("noted", "here", "waits"),
    [
        ("a", {4: "a"}, True),
        ("a", {4: "b"}, False),  # this registry has another version of that number
        ("a", {}, True),  # it cannot be asked at once, or has no such version
        ("", {4: "b"}, True),  # from before models were noted
    ],
)
def test_a_version_of_another_registry_does_not_wait(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    noted: str,
    here: dict[int, str],
    waits: bool,
) -> None:
    settings = load_settings({"home": tmp_path})
    pending = PendingApproval(
        **{"version": 4, "model_id": noted, "reason": "", "verdict": "passed", "run_id": 7},
        requested_at=now(),
    )
    ask_for_approval(settings, pending)
    monkeypatch.setattr(records, "model_ids", lambda settings: here)

    assert pending_approval(settings) == (pending if waits else None)
