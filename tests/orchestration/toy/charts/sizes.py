"""What the dashboard of `prepare` shows."""

import pandas as pd

if "data_source" not in globals():
    from mage_ai.data_preparation.decorators import data_source


@data_source
def sizes(*args, **kwargs):
    return pd.DataFrame({"size": ["small", "large"], "runs": [3, 4]})
