"""How many trips there are, day by day, and which window each belongs to."""

from typing import Any

from mlops.drawing.data import draw_rows
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def trips(**variables: Any) -> str:
    """Return the tile."""
    return chart("hours", draw_rows)
