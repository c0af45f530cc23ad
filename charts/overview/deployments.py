"""The last deployments and rollbacks."""

from typing import Any

from mlops.drawing.overview_events import draw_deployments
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def deployments(**variables: Any) -> str:
    """Return the tile."""
    return chart("deployments", draw_deployments)
