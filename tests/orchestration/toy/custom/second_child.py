"""Uses the product in another run."""

from mlops.orchestration.products.children import run_child

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def second_child(first, *args, **kwargs):
    given = ("ledger", "names", "fail", "die", "slow", "seconds")
    child = run_child("train", {name: kwargs[name] for name in given}, kwargs)
    return {"run": child.run_id, "candidates": child.output("choose")["candidates"]}
