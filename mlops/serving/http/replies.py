"""What the server answers, as pydantic models: the source of its OpenAPI document, with examples.

The answers themselves are written by hand (`mlops.serving.answers.answering`), which is several
times faster; the tests hold them to these models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mlops.registry.rollout import Rollout
from mlops.serving.answers.routing import Role

TRIP_EXAMPLE: Final = {
    "pickup_at": "2024-03-01T17:45:00",
    "pickup_zone": 74,
    "dropoff_zone": 161,
    "trip_distance": 3.2,
    "passenger_count": 1,
    "rate_code": 1,
    "trip_type": 1,
    "vendor_id": 2,
}
SHORT_EXAMPLE: Final = {
    "trip_id": "a-17",
    "pickup_at": "2024-03-01T08:30:00-05:00",
    "pickup_zone": 74,
    "dropoff_zone": 166,
}


class _ReplyBody(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Prediction(_ReplyBody):
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


class _Signed(_ReplyBody):
    model_version: int
    synthetic: bool = Field(False, description="Whether the model learned from synthetic trips.")
    role: Role
    request_id: str


class SinglePrediction(Prediction, _Signed):
    """The answer to a request for one trip."""


class ManyPredictions(_Signed):
    """The answer to a list, in its order."""

    predictions: list[Prediction]


class Explanation(_ReplyBody):
    """Why a prediction is what it is."""

    trip_id: int | str | None = None
    prediction_minutes: float
    sum_minutes: float = Field(description="base and contributions, before limits on durations")
    base_minutes: float
    contributions: dict[str, float] = Field(description="minutes per feature; exact SHAP values")


class SingleExplanation(Explanation, _Signed):
    """The explanation of one trip."""


class ManyExplanations(_Signed):
    """The explanations of a list, in its order."""

    explanations: list[Explanation]


class Validation(_ReplyBody):
    """A request that would be answered."""

    trips: int
    flagged: int


class ZoneReply(_ReplyBody):
    """A taxi zone of New York."""

    zone: int = Field(description="The zone's number in requests.")
    name: str
    borough: str
    known: bool = Field(description="Whether the number is a place; 264 and 265 are not.")


class ErrorProblem(_ReplyBody):
    """One thing that is wrong."""

    field: str = Field(description="E.g. trips.3.pickup_zone, body, or a header's name.")
    message: str


class ErrorContent(ErrorProblem):
    """What is wrong; field and message repeat the first of the problems."""

    problems: list[ErrorProblem] = Field(
        description="Every wrong field, in the order of the trips; at most 20."
    )
    request_id: str


class ErrorReply(_ReplyBody):
    """A refused request."""

    error: ErrorContent


class ServedVersion(_ReplyBody):
    """A version in this process."""

    version: int
    role: Role
    since: datetime
    bundle: str
    family: str
    synthetic: bool = Field(description="Whether it learned from synthetic trips.")
    info: dict[str, Any] = Field(description="receipt and metrics, from its bundle")


class ModelReply(_ReplyBody):
    """Who answers."""

    champion: ServedVersion
    beside: ServedVersion | None = Field(None, description="the version of the rollout")
    rollout: Rollout | None = None
    problem: str = Field("", description="why the registry cannot be followed at the moment")
