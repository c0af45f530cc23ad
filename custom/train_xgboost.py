"""Runs `xgboost_training` as part of `retraining`."""

from typing import Any

from mlops.orchestration.products.children import run_child
from mlops.steps import retraining

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def train(prepared: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the number of the run."""
    return retraining.train("xgboost_training", prepared, variables, run_child)
