"""Which values are missing, month by month."""

from typing import Any

from mlops.drawing.data import draw_missing
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def missing(**variables: Any) -> str:
    """Return the tile."""
    return chart("missing", draw_missing)
