"""How long answers took in the server."""

from typing import Any

from mlops.drawing.serving import draw_latency
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def latency(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_latency", draw_latency)
