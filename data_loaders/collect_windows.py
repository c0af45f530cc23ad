"""First block of `monitoring`: which windows are there to look at?"""

from typing import Any

from mlops.steps import monitoring

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def collect(**variables: Any) -> dict[str, Any]:
    """Return the time of this look, and references to staged windows."""
    return monitoring.collect_windows(variables)
