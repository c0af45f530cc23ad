"""What of a version's evidence stands against its deployment, without a registry."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops.data.origins import TripOrigin
from mlops.deployment.evidence import require_deployable
from mlops.errors import GateRefusalError

GREEN, YELLOW = TripOrigin("green", False), TripOrigin("yellow", False)
MADE_UP = TripOrigin("green", True)


def version(number: int, origin: TripOrigin = GREEN, **changes: Any) -> Any:
    fields = {
        "receipt": SimpleNamespace(gaps=(), origin=origin),
        "verdict": SimpleNamespace(passed=True, summary=""),
        **changes,
    }
    return SimpleNamespace(version=number, origin=origin, **fields)


def registry_of(asked: Any, champion: Any = None) -> Any:
    return SimpleNamespace(
        get=lambda name: asked, is_trusted=lambda info: True, champion=lambda: champion
    )


@pytest.mark.parametrize("missing", ["receipt", "verdict"])
def test_a_version_without_receipt_or_verdict_is_refused(missing: str) -> None:
    with pytest.raises(GateRefusalError, match="no receipt and no verdict"):
        require_deployable(registry_of(version(2, **{missing: None})), "2")


@pytest.mark.parametrize(
    ("challenger", "champion", "refused"),
    [
        (GREEN, GREEN, False),
        (GREEN, MADE_UP, False),  # real trips may replace synthetic ones
        (MADE_UP, GREEN, True),
        (YELLOW, GREEN, True),
    ],
)
def test_a_model_of_other_trips_needs_permission_to_replace_the_champion(
    challenger: TripOrigin, champion: TripOrigin, refused: bool
) -> None:
    registry = registry_of(version(2, challenger), version(1, champion))

    if refused:
        with pytest.raises(GateRefusalError, match="cannot replace version 1: ") as caught:
            require_deployable(registry, "2")
        assert caught.value.hint.endswith("mlops deploy 2 --allow-mismatch")
    else:
        assert require_deployable(registry, "2").version == 2
    assert require_deployable(registry, "2", allow_mismatch=True).version == 2
    assert require_deployable(registry_of(version(2, challenger)), "2").version == 2
