"""Builds the product by a run of its own."""

from mlops.orchestration.products.children import run_child

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def first_child(*args, **kwargs):
    child = run_child("prepare", {"ledger": kwargs["ledger"]}, kwargs)
    return {"run": child.run_id, "values": child.output("publish")["values"]}
