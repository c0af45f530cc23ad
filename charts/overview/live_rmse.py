"""How wrong the champion's answers were, window by window."""

from typing import Any

from mlops.drawing.overview import draw_live
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def live_rmse(**variables: Any) -> str:
    """Return the tile."""
    return chart("live_rmse", draw_live)
