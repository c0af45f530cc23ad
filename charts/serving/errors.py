"""What was not answered, and why."""

from typing import Any

from mlops.drawing.serving import draw_errors
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def errors(**variables: Any) -> str:
    """Return the tile."""
    return chart("serving_errors", draw_errors)
