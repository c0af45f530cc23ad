"""Opens or shuts the way to one block."""

if "condition" not in globals():
    from mage_ai.data_preparation.decorators import condition


@condition
def is_open(*args, **kwargs):
    return kwargs["open"]
