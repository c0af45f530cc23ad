"""What was measured, as plain numbers: kept with versions, and read without any numeric library.

Commands that only list what is stored import these and nothing that computes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Base of everything evaluation hands on: immutable, no unknown keys, finite numbers only."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )


class Metrics(Result):
    """Errors of one model on one window, in the unit of the target unless stated otherwise."""

    rows: int
    rmse: float  # root mean squared error
    mae: float  # mean absolute error
    # mean absolute error relative to the answer, a share: 0.2 is 20 %; None if an answer is zero
    mape: float | None
    r2: float  # coefficient of determination, 1 is perfect, 0 no better than the mean
    p90_error: float  # nine rows in ten are predicted at least this well
    bias: float  # mean of predicted - actual: positive means too long


class IntervalMetrics(Result):
    """How honest and how sharp a prediction interval is."""

    rows: int
    coverage: float  # share of actual durations inside the interval, bounds included
    mean_width: float


class SliceMetrics(Result):
    """Errors on the rows of one slice, in the unit of the target."""

    dimension: str  # what the window was cut by
    slice: str
    rows: int
    rmse: float
    mae: float
    bias: float  # mean of predicted - actual


class Evaluation(Result):
    """What was measured on one window; plain JSON, stored with the model version."""

    metrics: Metrics
    interval: IntervalMetrics | None  # None: the model predicts no interval
    slices: tuple[SliceMetrics, ...]
    latency_ms: float  # median of one-row predictions
    size_mb: float  # of the artifact on disk, 10⁶ bytes
