"""What monitoring decided, and what followed."""

from typing import Any

from mlops.drawing.overview_events import draw_decisions
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def decisions(**variables: Any) -> str:
    """Return the tile."""
    return chart("decisions", draw_decisions)
