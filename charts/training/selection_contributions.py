"""What features add to predictions of the newest version."""

from typing import Any

from mlops.drawing.explanation import draw_contributions
from mlops.drawing.training import for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def contributions(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_contributions", for_pipeline(draw_contributions, "model_selection"))
