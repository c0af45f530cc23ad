"""The candidates of the last selection."""

from typing import Any

from mlops.drawing.overview_events import draw_candidates
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def candidates(**variables: Any) -> str:
    """Return the tile."""
    return chart("candidates", draw_candidates)
