"""Which hyperparameters mattered in the last run of `sklearn_training`."""

from typing import Any

from mlops.drawing.training import draw_parameters, for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def parameters(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_parameters", for_pipeline(draw_parameters, "sklearn_training"))
