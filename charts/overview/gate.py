"""What the gate said of the last winner."""

from typing import Any

from mlops.drawing.overview_events import draw_gate
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def gate(**variables: Any) -> str:
    """Return the tile."""
    return chart("gate", draw_gate)
