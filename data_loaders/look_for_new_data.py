"""First block of `retraining`: is there a month that nobody has learned from?"""

from typing import Any

from mlops.steps import retraining

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def look(**variables: Any) -> dict[str, Any]:
    """Return the `Decision`: whether to train, why, and on which months."""
    return retraining.look_for_new_data(variables)
