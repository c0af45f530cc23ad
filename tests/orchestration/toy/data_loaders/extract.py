"""Says that it ran, and hands on a small reference."""

import time
from pathlib import Path

if "data_loader" not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def extract(*args, **kwargs):
    with Path(kwargs["ledger"]).open("a") as ledger:
        ledger.write("extract\n")
    time.sleep(float(kwargs.get("pause", 0)))
    return {"size": kwargs["size"]}
