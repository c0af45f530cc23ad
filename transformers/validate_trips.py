"""Second block of `data_preparation`: hold every trip to the data contract."""

from typing import Any

from mlops.steps import data_preparation

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def transform(extraction: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return `ValidatedTrips`: clean monthly parts and the quality report."""
    return data_preparation.validate(extraction, variables)
