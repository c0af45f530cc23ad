"""Starts the retraining or the rollback that was decided on, by its API trigger."""

from typing import Any

from mlops.steps import monitoring

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def act(decided: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the decision with what came of it."""
    return monitoring.act(decided, variables)
