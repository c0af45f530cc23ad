"""Where trips begin and end now and in the champion's reference."""

from typing import Any

from mlops.drawing.data import draw_codes
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def zones(**variables: Any) -> str:
    """Return the tile."""
    return chart("profiles", draw_codes)
