"""For whom a model is worst, in words: what a reader should take from the tables of groups."""

from __future__ import annotations

from collections.abc import Sequence

from mlops.datasets.wording import DatasetWords
from mlops.evaluation.results import Result
from mlops.reports.groups import Estimate, GroupErrors
from mlops.reports.numbers import Amounts, percent


class Disparity(Result):
    """The group of one dimension that is predicted worst.

    Attributes:
        dimension: What rows were grouped by.
        worst: The group whose mean absolute error most exceeds that of all other rows.
        sure: Whether the interval of that difference excludes none.
        compared: How many groups were compared.
    """

    dimension: str
    worst: GroupErrors
    sure: bool
    compared: int


def largest_disparity(
    groups: Sequence[GroupErrors], dimension: str, min_rows: int, words: DatasetWords
) -> Disparity | None:
    """Find the group that is predicted worst against all other rows.

    Args:
        groups: Of all dimensions.
        dimension: To look at.
        min_rows: Groups with fewer rows are not compared.
        words: Of the dataset.

    Returns:
        None if there are fewer than two groups to compare.
    """
    own = [g for g in groups if g.dimension == dimension and g.group not in words.leftovers]
    compared = [g for g in own if g.rows >= min_rows and g.against_rest is not None]
    if len(compared) < 2:
        return None
    worst = max(compared, key=lambda group: group.against_rest.value if group.against_rest else 0.0)
    assert worst.against_rest is not None
    return Disparity(
        dimension=dimension,
        worst=worst,
        sure=worst.against_rest.low > 0,
        compared=len(compared),
    )


def largest_of(
    groups: Sequence[GroupErrors], min_rows: int, words: DatasetWords
) -> Disparity | None:
    """Find the largest disparity along the dimensions that matter most; None without any."""
    dimensions = words.compared or dict.fromkeys(group.dimension for group in groups[1:])
    found = [largest_disparity(groups, dimension, min_rows, words) for dimension in dimensions]
    return max((each for each in found if each is not None), key=_size, default=None)


def _size(found: Disparity) -> float:
    gap = found.worst.against_rest
    return gap.value if gap is not None else 0.0


def briefly(found: Disparity, words: DatasetWords, amounts: Amounts) -> str:
    """Say for whom a model is worst, in one sentence."""
    worst, rest = found.worst, found.worst.mae.value - _size(found)
    certainty = "" if found.sure else ", which may be chance"
    group = f"{words.dimension(found.dimension)} {worst.group}"
    return (
        f"It is worst for {words.rows} with {group}: its mean absolute error is"
        f" {amounts.full(worst.mae.value)} there, and {amounts.full(rest)} for all"
        f" others{certainty}."
    )


def in_words(found: Disparity, overall: GroupErrors, words: DatasetWords, amounts: Amounts) -> str:
    """Say what a disparity means, in a few sentences."""
    worst, gap = found.worst, found.worst.against_rest
    assert gap is not None
    rest = worst.mae.value - gap.value
    interval = f"{amounts.span(gap.low, gap.high, signed=True)} {amounts.unit}".rstrip()
    sentences = [
        f"By {words.dimension(found.dimension)}, {worst.group} is predicted worst: the mean"
        f" absolute error is {amounts.full(worst.mae.value)}, for all other {words.rows}"
        f" {amounts.full(rest)} (difference {amounts.number(gap.value, signed=True)}, 95% interval"
        f" {interval})."
    ]
    if not found.sure:
        sentences.append("The interval includes zero: this may be chance.")
    if worst.relative and overall.relative:
        sentences.append(
            f"Their mean {words.answer} is {amounts.full(worst.actual)}, against"
            f" {amounts.full(overall.actual)} for all {words.rows}; their error is"
            f" {_explained(worst.relative, overall.relative.value, words.size)}"
        )
    if worst.bias.excludes(0):
        direction = words.above if worst.bias.value > 0 else words.below
        sentences.append(
            f"They are predicted {amounts.full(abs(worst.bias.value))} {direction} on average."
        )
    return " ".join(sentences)


def _explained(share: Estimate, usual: float, size: str) -> str:
    """Set an error against the answers: large ones are harder to predict."""
    shares = f"{percent(share.value)} of that, against {percent(usual)}"
    if share.value <= usual:
        return f"{shares}: {size} explains the difference."
    explains = "may explain" if share.low <= usual else "does not explain"
    return f"{shares}: {size} {explains} the difference."
