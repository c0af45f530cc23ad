"""Dynamic child of both trainings: search, fit and record one candidate."""

from typing import Any

from mlops.steps import training

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def transform(candidate: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return a `CandidateReport`; a failure is reported in it, not raised."""
    return training.tune_and_train(candidate, variables)
