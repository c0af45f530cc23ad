"""What search time brought in the last run of `xgboost_training`."""

from typing import Any

from mlops.drawing.training import draw_pace, for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def pace(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_trials", for_pipeline(draw_pace, "xgboost_training"))
