"""A version is champion whether or not its world can be remembered; why not is said."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.errors import DataQualityError
from mlops.steps import profiles


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (DataQualityError("too few trips", "use more"), "too few trips"),
        (KeyError("pickup_at"), "KeyError: 'pickup_at'"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_profile_that_fails_does_not_fail_the_selection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, failure: Exception, why: str
) -> None:
    def build_for(settings: Any, version: int) -> None:
        raise failure

    monkeypatch.setattr(profiles, "build_for", build_for)

    found = profiles.profile_version({"version": 3}, {"home": str(tmp_path)})

    assert found["version"] == 3 and not found["profiled"]
    assert found["summary"].startswith(f"version 3 cannot be monitored: {why}")
