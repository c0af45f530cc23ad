"""Last block of both trainings: decide whether enough candidates survived."""

from typing import Any

from mlops.steps import training

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def collect(reports: list[dict[str, Any]], **variables: Any) -> dict[str, Any]:
    """Return the table of candidates; raise when none can be used."""
    return training.collect(reports)
