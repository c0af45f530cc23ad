"""When a deployment leaves a card behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops.steps import deployment


@pytest.mark.parametrize(
    ("kind", "state", "left"),
    [
        ("deployment", "kept", [("model", "3")]),
        ("deployment", "unchanged", []),
        ("rollback", "kept", []),  # nothing may slow it down
    ],
)
def test_a_version_that_is_kept_gets_its_card(
    kind: str, state: str, left: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a deployment or rollback that ends so
    record = SimpleNamespace(
        id="d-1", version=3, from_version=2, kind=kind, state=state, summary="done"
    )
    deployer = SimpleNamespace(keep_or_roll_back=lambda name: record)
    monkeypatch.setattr(deployment, "_deployer", lambda variables: deployer)
    found: list[tuple[str, str]] = []

    def leave(settings: Any, kind: str, name: str) -> None:
        found.append((kind, name))

    monkeypatch.setattr(deployment, "leave_report", leave)

    # When
    reference = deployment.keep_or_roll_back({"deployment": "d-1"}, {})

    # Then
    assert found == left
    assert reference["state"] == state
