"""Measures each staged window against the profile of its version, and stores what was found."""

from typing import Any

from mlops.steps import monitoring

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def measure(collected: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return what was collected, now on record."""
    return monitoring.measure_windows(collected, variables)
