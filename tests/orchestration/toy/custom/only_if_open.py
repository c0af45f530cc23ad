"""Runs only when the conditional says so."""

from pathlib import Path

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def only_if_open(extraction, *args, **kwargs):
    with Path(kwargs["ledger"]).open("a") as ledger:
        ledger.write("only_if_open\n")
    return {}
