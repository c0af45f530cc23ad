"""What one statistic says of one window, before anybody judges it.

Every statistic has an *effect*: the number on which "no change" is nearly normal, so that one kind
of limit serves all of them. A sum of squares is judged by its cube root (E. B. Wilson and M. M.
Hilferty, "The Distribution of Chi-Square", PNAS 17, 1931), a distance as the root of such a sum, a
share by its arcsine (F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial
data", Biometrika 35, 1948: the variance is 1/n whatever the share), an error by its ratio.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BeforeValidator

from mlops.datasets.taxi.contract.rule_names import current_measure

FindingKind = Literal[
    "quality",  # the data are not what they claim to be
    "drift",  # inputs and predictions have a different distribution
    "labels",  # so have actual answers
    "performance",  # predictions are worse than they were
    "skew",  # training code computes otherwise what was answered
    "stability",  # predictions or clocks that cannot be
    "staleness",  # what the model knows is old
    "serving",  # slow, failing or costly answers
]
ALL_ROWS: Final = "all rows"  # the subject of the errors of a whole window
_FORMERLY: Final = "all trips"


def current_subject(name: str) -> str:
    """Return a subject, or a key that begins with one, as it is called now."""
    if name.startswith(_FORMERLY):
        return f"{ALL_ROWS}{name.removeprefix(_FORMERLY)}"
    return current_measure(name)


# The subject of a measurement, or a key that holds it; also as stored under a former name.
MeasureName = Annotated[str, BeforeValidator(current_subject)]
Scale = Literal["squares", "distance", "share", "ratio", "difference"]
Side = Literal["high", "low", "both"]

# Kinds of findings whose limits are learned from history; those of the others are set by hand.
LEARNED: Final[tuple[FindingKind, ...]] = ("quality", "drift", "labels", "performance")
_NOTHING: Final = 1e-4  # keeps logarithms finite; far below any value that matters


class Measurement(NamedTuple):
    """One statistic of one subject on one window.

    Attributes:
        kind: The kind of finding that it becomes.
        subject: The feature, rule or slice.
        statistic: E.g. ``psi``; with the subject, the key of its limit.
        scale: Which effect is judged.
        side: Which deviations matter.
        n: Rows it was computed from.
        value: As a person reads it, in ``unit``.
        reference: What was expected, in the same unit; 0 for sums of squares and distances.
        unit: Of value and reference.
        interval: Confidence interval of the value, if there is one.
        yardstick: What a change of the value is large or small against, in the same unit.
        limit: Set where it was measured; None: the limit of its kind.
        note: What the value means, in words, where the statistic does not say it.
    """

    kind: FindingKind
    subject: str
    statistic: str
    scale: Scale
    side: Side
    n: int
    value: float
    reference: float
    unit: str = ""
    interval: tuple[float, float] | None = None
    yardstick: float = 1.0
    limit: float | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """Names the statistic among all of a profile."""
        return f"{self.subject}: {self.statistic}"

    @property
    def pool(self) -> str:
        """Names the statistics that vary alike: a measure of distance, an error of slices."""
        if self.is_divergence:
            return f"{self.kind}: {self.statistic}"
        if self.kind == "performance":
            return f"{self.subject.split(':')[0]}: {self.statistic}"
        return self.key

    @property
    def is_divergence(self) -> bool:
        """Whether it tells two distributions apart, and thus is above 0 even without a change."""
        return self.scale in ("squares", "distance")

    @property
    def effect(self) -> float:
        """The deviation on the scale where limits are learned."""
        return effect(self.scale, self.value, self.reference)


def effect(scale: Scale, value: float, reference: float) -> float:
    """Return the deviation of a value from its reference on the scale where it is judged."""
    if scale == "squares":
        return math.pow(max(value, 0.0), 1 / 3)
    if scale == "distance":
        return math.pow(max(value, 0.0), 2 / 3)
    if scale == "share":
        return _arcsine(value) - _arcsine(reference)
    if scale == "ratio":
        return math.log(max(value, _NOTHING) / max(reference, _NOTHING))
    return value - reference


def value_at(scale: Scale, effect: float, reference: float) -> float:
    """Return the value whose effect is the given one: how a limit is shown to a person."""
    if scale == "squares":
        return effect**3
    if scale == "distance":
        return math.pow(max(effect, 0.0), 1.5)
    if scale == "share":
        angle = min(max(_arcsine(reference) + effect, 0.0), math.pi)
        return math.sin(angle / 2) ** 2
    if scale == "ratio":
        return max(reference, _NOTHING) * math.exp(effect)
    return reference + effect


def _arcsine(share: float) -> float:
    return 2 * math.asin(math.sqrt(min(max(share, 0.0), 1.0)))
