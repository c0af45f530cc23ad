"""For whom a model is worst, in words: what a reader should take from the tables of groups."""

from __future__ import annotations

from collections.abc import Sequence

from mlops.datasets.taxi.zones import UNKNOWN_BOROUGH
from mlops.evaluation.results import Result
from mlops.reports import words
from mlops.reports.groups import GroupErrors
from mlops.reports.numbers import decimal, minutes, percent, span


class Disparity(Result):
    """The group of one dimension that is predicted worst.

    Attributes:
        dimension: What trips were grouped by.
        worst: The group whose mean absolute error most exceeds that of all other trips.
        sure: Whether the interval of that difference excludes none.
        compared: How many groups were compared.
    """

    dimension: str
    worst: GroupErrors
    sure: bool
    compared: int


def largest_disparity(
    groups: Sequence[GroupErrors], dimension: str, min_rows: int
) -> Disparity | None:
    """Find the group that is predicted worst against all other trips.

    Args:
        groups: Of all dimensions.
        dimension: To look at.
        min_rows: Groups with fewer trips are not compared.

    Returns:
        None if there are fewer than two groups to compare.
    """
    # Trips whose zone is not known are no group of people or places.
    own = [g for g in groups if g.dimension == dimension and g.group != UNKNOWN_BOROUGH]
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
    groups: Sequence[GroupErrors], dimensions: Sequence[str], min_rows: int
) -> Disparity | None:
    """Find the largest disparity along several dimensions; None if nothing can be compared."""
    found = [largest_disparity(groups, dimension, min_rows) for dimension in dimensions]
    return max((each for each in found if each is not None), key=_size, default=None)


def _size(found: Disparity) -> float:
    gap = found.worst.against_rest
    return gap.value if gap is not None else 0.0


def briefly(found: Disparity) -> str:
    """Say for whom a model is worst, in one sentence."""
    worst, rest = found.worst, found.worst.mae.value - _size(found)
    certainty = "" if found.sure else ", which may be chance"
    group = f"{words.dimension(found.dimension)} {worst.group}"
    return (
        f"It is worst for trips with {group}: its mean absolute error is"
        f" {minutes(worst.mae.value)} there, and {minutes(rest)} for all others{certainty}."
    )


def in_words(found: Disparity, overall: GroupErrors) -> str:
    """Say what a disparity means, in a few sentences."""
    worst, gap = found.worst, found.worst.against_rest
    assert gap is not None
    rest = worst.mae.value - gap.value
    sentences = [
        f"By {words.dimension(found.dimension)}, {worst.group} is predicted worst: the mean"
        f" absolute error is {minutes(worst.mae.value)}, for all other trips {minutes(rest)}"
        f" (difference {decimal(gap.value, signed=True)}, 95% interval"
        f" {span(gap.low, gap.high, signed=True)} min)."
    ]
    if not found.sure:
        sentences.append("The interval includes zero: this may be chance.")
    sentences.append(_relative(worst, overall))
    if worst.bias.excludes(0):
        direction = "too long" if worst.bias.value > 0 else "too short"
        sentences.append(
            f"Its trips are predicted {minutes(abs(worst.bias.value))} {direction} on average."
        )
    return " ".join(sentences)


def _relative(worst: GroupErrors, overall: GroupErrors) -> str:
    """Set the error against how long the trips take: long trips are harder to predict."""
    share, usual = worst.relative.value, overall.relative.value
    lasting = (
        f"Such a trip takes {minutes(worst.actual)}, against {minutes(overall.actual)} for all"
        f" trips; its error is {percent(share)} of that, against {percent(usual)}"
    )
    if share <= usual:
        return f"{lasting}: the length of the trips explains the difference."
    if worst.relative.low <= usual:
        return f"{lasting}: the length of the trips may explain the difference."
    return f"{lasting}: the length of the trips does not explain the difference."
