"""First block of `batch_inference`: fetch the months to predict."""

from typing import Any

from mlops.steps import batch_inference

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load(**variables: Any) -> dict[str, Any]:
    """Return an `Extraction`: the source files with their hashes."""
    return batch_inference.load(variables)
