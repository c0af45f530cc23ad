"""Dynamic parent of `model_selection`: one child per candidate of this training set."""

from typing import Any

from mlops.steps import candidates

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load(training_set: Any, route_statistics: Any, **variables: Any) -> list[list[dict[str, Any]]]:
    """Return the newest finished candidate of each family, and its child's name."""
    return candidates.newest_candidates(training_set, route_statistics, variables)
