"""Where the best candidate of the last run of `sklearn_training` is wrong."""

from typing import Any

from mlops.drawing.explanation import draw_residuals
from mlops.drawing.training import for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def residuals(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_residuals", for_pipeline(draw_residuals, "sklearn_training"))
