"""At which hours trips begin, window by window."""

from typing import Any

from mlops.drawing.data import draw_hours
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def hours(**variables: Any) -> str:
    """Return the tile."""
    return chart("hours", draw_hours)
