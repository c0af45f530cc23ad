"""What a reproduction found: stages in order, each with its evidence; plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from mlops.data.references import Reference

Outcome = Literal["same", "differs", "not reached"]

ENVIRONMENT: Final = "environment"
DATA: Final = "data"
FEATURES: Final = "features and history"
MODEL: Final = "fitted model"
INTERVAL: Final = "prediction interval"
PREDICTIONS: Final = "predictions on test"
METRICS: Final = "metrics"
STAGES: Final = (ENVIRONMENT, DATA, FEATURES, MODEL, INTERVAL, PREDICTIONS, METRICS)


class Evidence(Reference):
    """One thing that was compared."""

    what: str
    recorded: str
    found: str

    @property
    def same(self) -> bool:
        """Whether both agree."""
        return self.recorded == self.found


class Stage(Reference):
    """One step on the way from the data to the metrics."""

    name: str
    outcome: Outcome
    summary: str  # in words: what was compared, or what differs
    evidence: tuple[Evidence, ...] = ()


class Reproduction(Reference):
    """A version, made again."""

    version: int
    family: str
    code: str  # commit of the code it was made again with
    lacking: tuple[str, ...]  # fields of the receipt that the present code writes, and it has not
    seconds: float
    stages: tuple[Stage, ...]

    @property
    def matches(self) -> bool:
        """Whether everything from the data to the metrics is the same, bit for bit.

        Another environment alone does not make another model.
        """
        return all(s.outcome == "same" for s in self.stages if s.name != ENVIRONMENT)

    @property
    def first_difference(self) -> Stage | None:
        """The first stage that is not the same, or None."""
        return next((stage for stage in self.stages if stage.outcome != "same"), None)

    @property
    def summary(self) -> str:
        """The outcome in words."""
        first = self.first_difference
        if first is None:
            return f"version {self.version} was reproduced bit for bit"
        if self.matches:
            return (
                f"version {self.version} was reproduced bit for bit, in another environment:"
                f" {first.summary}"
            )
        made = next(s for s in self.stages if s.outcome != "same" and s.name != ENVIRONMENT)
        return f"version {self.version} was not reproduced: {made.name}: {made.summary}"


def compared(name: str, evidence: Sequence[Evidence], same: str) -> Stage:
    """Judge a stage by its evidence.

    Args:
        name: Of the stage.
        evidence: What was compared.
        same: The summary if all of it agrees.
    """
    other = [e for e in evidence if not e.same]
    summary = "; ".join(f"{e.what}: {e.recorded} recorded, {e.found} here" for e in other)
    return Stage(
        name=name,
        outcome="differs" if other else "same",
        summary=summary or same,
        evidence=tuple(evidence),
    )
