"""The block of `predict`: the trip of the form, answered by the champion."""

from typing import Any

from mlops.steps import playground

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def predict(**variables: Any) -> dict[str, Any]:
    """Return the answer in words, the minutes with their interval, and the model's version."""
    return playground.predict(variables)
