"""Deploys what `retraining` selected, or lets it wait for approval."""

from typing import Any

from mlops.orchestration.products.children import run_child
from mlops.steps import retraining

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def deploy(selection: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return what became of the version, in words."""
    return retraining.deploy(selection, variables, run_child)
