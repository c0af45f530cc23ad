"""How the candidates of the last run of `sklearn_training` learned."""

from typing import Any

from mlops.drawing.explanation import draw_curves
from mlops.drawing.training import for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def curves(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_curves", for_pipeline(draw_curves, "sklearn_training"))
