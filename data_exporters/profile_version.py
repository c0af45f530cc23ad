"""Last block of `model_selection`: what monitoring will compare the new version's traffic with."""

from typing import Any

from mlops.steps import profiles

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(registered: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return whether a reference profile was stored with the version."""
    return profiles.profile_version(registered, variables)
