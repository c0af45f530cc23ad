"""Who answers requests, and how it does."""

from typing import Any

from mlops.drawing.overview import draw_champion
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def champion(**variables: Any) -> str:
    """Return the tile."""
    return chart("champion", draw_champion)
