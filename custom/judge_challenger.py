"""The gate of `model_selection`: may the best candidate replace the champion?"""

from typing import Any

from mlops.steps import model_selection

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def judge(candidates: list[dict[str, Any]], **variables: Any) -> dict[str, Any]:
    """Return the winner and its `Verdict`, rule by rule."""
    return model_selection.judge_candidates(candidates, variables)
