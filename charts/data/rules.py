"""Which rules of the data contract were broken, and how often."""

from typing import Any

from mlops.drawing.data import draw_rules
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def rules(**variables: Any) -> str:
    """Return the tile."""
    return chart("rules", draw_rules)
