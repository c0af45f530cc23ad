"""Third block of `data_preparation`: add what was known of each route before each trip."""

from typing import Any

from mlops.steps import data_preparation

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def transform(validated: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return a `FeatureTable`: monthly parts with as-of route history."""
    return data_preparation.build(validated, variables)
