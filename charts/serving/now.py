"""What is served now, and how it does."""

from typing import Any

from mlops.drawing.serving import draw_now
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def now(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_now", draw_now)
