"""How far each feature lies from the champion's reference, window by window."""

from typing import Any

from mlops.drawing.overview import draw_drift
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def drift(**variables: Any) -> str:
    """Return the tile."""
    return chart("drift", draw_drift)
