"""What the server answers about trips, as pydantic models; see `mlops.serving.forms.replies`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlops.serving.forms.replies import ReplyBody, SignedReply


class Prediction(ReplyBody):
    """The answer for one trip."""

    trip_id: int | str | None = Field(None, description="The trip's id, if the request has one.")
    prediction_minutes: float = Field(description="Minutes from pickup to dropoff.")
    lower_minutes: float | None = Field(description="Lower bound of the 80 % prediction interval.")
    upper_minutes: float | None = Field(description="Upper bound of the 80 % prediction interval.")
    distance_source: Annotated[
        str | None, Field(description="route_history if the request has no distance.")
    ] = None
    miles: float | None = Field(None, description="The distance used, if the request has none.")
    flags: list[str] = Field(
        [], description="Rules of the data contract that the trip violates without being refused."
    )


class SinglePrediction(Prediction, SignedReply):
    """The answer to a request for one trip."""


class ManyPredictions(SignedReply):
    """The answer to a list, in its order."""

    predictions: list[Prediction]


class Explanation(ReplyBody):
    """Why a prediction is what it is."""

    trip_id: int | str | None = None
    prediction_minutes: float
    sum_minutes: float = Field(description="base and contributions, before limits on durations")
    base_minutes: float
    contributions: dict[str, float] = Field(description="minutes per feature; exact SHAP values")


class SingleExplanation(Explanation, SignedReply):
    """The explanation of one trip."""


class ManyExplanations(SignedReply):
    """The explanations of a list, in its order."""

    explanations: list[Explanation]


class Validation(ReplyBody):
    """A request that would be answered."""

    trips: int
    flagged: int


class ZoneReply(ReplyBody):
    """A taxi zone of New York."""

    zone: int = Field(description="The zone's number in requests.")
    name: str
    borough: str
    known: bool = Field(description="Whether the number is a place; 264 and 265 are not.")
