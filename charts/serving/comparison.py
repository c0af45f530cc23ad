"""Champion and canary beside each other."""

from typing import Any

from mlops.drawing.serving import draw_comparison
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def comparison(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_comparison", draw_comparison)
