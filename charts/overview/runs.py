"""Which pipelines ran, and how it ended."""

from typing import Any

from mlops.drawing.overview_events import draw_runs
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def runs(**variables: Any) -> str:
    """Return the tile."""
    return chart("runs", draw_runs)
