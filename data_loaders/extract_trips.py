"""First block of `data_preparation`: fetch the months and prove that each file is whole."""

from typing import Any

from mlops.steps import data_preparation

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load(**variables: Any) -> dict[str, Any]:
    """Return an `Extraction`: the source files with their hashes."""
    return data_preparation.extract(variables)
