"""What was predicted, against the reference."""

from typing import Any

from mlops.drawing.serving import draw_predictions
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def predictions(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_predictions", draw_predictions)
