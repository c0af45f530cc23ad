"""Requests by endpoint and status."""

from typing import Any

from mlops.drawing.serving import draw_requests
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def requests(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_requests", draw_requests)
