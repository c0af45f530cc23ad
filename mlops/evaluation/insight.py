"""What a person wants to see of a trained candidate beyond its score: how it was found and learned.

Written once, when the candidate is recorded, so that dashboards and reports read one small file
and never a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AliasChoices, Field

from mlops.evaluation.results import Result, SliceMetrics

WindowName = Literal["validation", "test"]


class TrialPoint(Result):
    """One trial of the search."""

    number: int  # position in the search, from 0
    seconds: float
    rmse: float | None  # on validation; None if the trial failed
    loss: float | None  # what the search minimises; for most families the RMSE
    params: dict[str, Any]


class Curve(Result):
    """Error of the best trial as the model grew.

    A linear model or a baseline is fitted in one go, and has none.
    """

    unit: Literal["rounds", "trees"]
    loss: Literal["RMSE", "pinball loss"]
    steps: tuple[int, ...]  # rounds or trees, from 1
    validation: tuple[float, ...]
    training: tuple[float, ...]  # empty where it would say nothing, as for bagged trees


class Contributions(Result):
    """What features add to predictions, on average, in the unit of the target.

    Attributes:
        rows: That were explained.
        base: The prediction before any feature is looked at; older records call it
            ``base_minutes``.
        means: Mean of |contribution| of each feature; in older records ``minutes``.
    """

    rows: int
    base: float = Field(validation_alias=AliasChoices("base", "base_minutes"))
    means: dict[str, float] = Field(validation_alias=AliasChoices("means", "minutes"))


class Insight(Result):
    """Everything about one candidate, in plain JSON.

    Attributes:
        window: The rows behind contributions and slices: unseen by the model.
        trials: In order; empty for a refit.
        curve: None if the family does not grow step by step, and for a refit.
        contributions: None for the baselines, which have nothing to explain.
        slices: Errors per slice of the window.
    """

    window: WindowName
    trials: tuple[TrialPoint, ...] = ()
    curve: Curve | None = None
    contributions: Contributions | None = None
    slices: tuple[SliceMetrics, ...] = ()


def summarise_contributions(
    values: npt.NDArray[np.float64], base: float, features: Sequence[str]
) -> Contributions:
    """Average what each feature adds, whatever its sign.

    Args:
        values: Per row and feature, ``(n, features)``.
        base: The prediction before any feature is looked at.
        features: Names of the columns.
    """
    means: Mapping[str, float] = dict(
        zip(features, np.abs(values).mean(axis=0).tolist(), strict=True)
    )
    largest_first = sorted(means, key=lambda name: -means[name])
    return Contributions(
        rows=len(values),
        base=base,
        means={name: means[name] for name in largest_first},
    )
