"""How good each family got, training by training."""

from typing import Any

from mlops.drawing.overview import draw_searches
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def searches(**variables: Any) -> str:
    """Return the tile."""
    return chart("searches", draw_searches)
