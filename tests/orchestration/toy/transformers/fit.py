"""The dynamic child: may fail, report a failure, die or take its time, as the variables say."""

import os
import signal
import time
from pathlib import Path

from mlops.progress import report

if "transformer" not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def fit(product, family, *args, **kwargs):
    name = family["name"]
    with Path(kwargs["ledger"]).open("a") as ledger:
        ledger.write(f"fit:{name}\n")
    report("fitting", trial=1, name_of_family=name)
    if name == kwargs["slow"]:
        print(f"pid {os.getpid()}")
        time.sleep(float(kwargs["seconds"]))
    if name == kwargs["fail"]:
        raise ValueError(f"family {name} has no data")
    if name == kwargs["report"]:
        return {"name": name, "status": "failed", "error": f"ValueError: family {name} is empty"}
    if name == kwargs["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"name": name, "score": sum(product["publish"][0]["values"])}
