"""The candidates of the last run of `xgboost_training`."""

from typing import Any

from mlops.drawing.training import draw_searched, for_pipeline
from mlops.steps.charts import chart

if "render" not in globals():
    from mage_ai.data_preparation.decorators import render


@render(render_type="html")
def searched(**variables: Any) -> str:
    """Return the tile."""
    return chart("training_candidates", for_pipeline(draw_searched, "xgboost_training"))
