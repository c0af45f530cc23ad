"""Dynamic child of `model_selection`: refit on train + validation, judge on test."""

from typing import Any

from mlops.steps import candidates

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def transform(candidate: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return a `RefitReport` with metrics on the untouched test window."""
    return candidates.refit_and_evaluate(candidate, variables)
