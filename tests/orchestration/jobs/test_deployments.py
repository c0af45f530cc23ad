"""What a deployment that failed half way advises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops.orchestration.jobs import deployments


def test_a_deployment_goes_on_by_its_number_since_its_alias_may_be_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a deployment of the challenger that was promoted, and then failed
    record = SimpleNamespace(is_over=False, kind="deployment", asked="challenger", version=3)
    advised: list[str] = []

    def require_success(result: Any, go_on: str) -> None:
        advised.append(go_on)
        raise RuntimeError

    monkeypatch.setattr(deployments, "_of_run", lambda records, run: record)
    monkeypatch.setattr(deployments, "require_success", require_success)
    records: Any = None
    result: Any = SimpleNamespace(run_id=7)

    with pytest.raises(RuntimeError):
        deployments._record(records, result, "mlops deploy challenger")

    assert advised == ["mlops deploy 3"]
