"""Runs `model_selection` as part of `retraining`."""

from typing import Any

from mlops.orchestration.products.children import run_child
from mlops.steps import retraining

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def select(prepared: dict[str, Any], *trainings: Any, **variables: Any) -> dict[str, Any]:
    """Return what was registered, the gate's verdict and the candidates."""
    return retraining.select(prepared, trainings, variables, run_child)
