"""Builds both data products of `retraining`, each by a run of its own pipeline."""

from typing import Any

from mlops.orchestration.products.children import run_child
from mlops.steps import retraining

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def prepare(decision: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the training set's hash, and the variables of the runs that follow."""
    return retraining.prepare(decision, variables, run_child)
