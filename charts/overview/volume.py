"""How much data the training set has, month by month."""

from typing import Any

from mlops.drawing.data import draw_volume
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def volume(**variables: Any) -> str:
    """Return the tile."""
    return chart("volume", draw_volume)
