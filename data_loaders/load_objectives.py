"""Dynamic parent of `xgboost_training`: one child per objective."""

from typing import Any

from mlops.steps import training

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load(training_set: Any, route_statistics: Any, **variables: Any) -> list[list[dict[str, Any]]]:
    """Return one item per objective, and the name that its child will carry."""
    return training.objectives(training_set, route_statistics, variables)
