"""Publishes the product: every kind of JSON value there is."""

from pathlib import Path

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def publish(extraction, *args, **kwargs):
    with Path(kwargs["ledger"]).open("a") as ledger:
        ledger.write("publish\n")
    return {
        "values": list(range(extraction["size"])),
        "nested": {"text": "é", "flag": True, "number": 0.1},
        "pipeline": kwargs["pipeline_uuid"],
        "block": kwargs["block_uuid"],
        "run": kwargs["pipeline_run_id"],
    }
