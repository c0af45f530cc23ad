"""What the server answers, as pydantic models: the source of its OpenAPI document, with examples.

The answers themselves are written by hand (`mlops.serving.answers.answering`), which is several
times faster; the tests hold them to these models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mlops.registry.rollout import Rollout
from mlops.serving.answers.routing import Role


class ReplyBody(BaseModel):
    """Base of all replies."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SignedReply(ReplyBody):
    """Who answered, and to which request."""

    model_version: int
    synthetic: bool = Field(False, description="Whether the model learned from synthetic data.")
    role: Role
    request_id: str


class RowPrediction(ReplyBody):
    """The answer for one row."""

    key: dict[str, Any] | None = Field(
        None, description="Columns of the key, as far as the request has them."
    )
    prediction: float
    lower: float | None = Field(description="Lower bound of the 80 % prediction interval.")
    upper: float | None = Field(description="Upper bound of the 80 % prediction interval.")
    flags: list[str] = Field(
        [], description="Rules of the dataset that the row violates without being refused."
    )


class InUnit(ReplyBody):
    """What is said once of all numbers of an answer."""

    unit: str = Field(description="Unit of predictions, bounds and contributions; may be empty.")


class SingleRowPrediction(RowPrediction, InUnit, SignedReply):
    """The answer to a request for one row."""


class ManyRowPredictions(InUnit, SignedReply):
    """The answer to a list of rows, in its order."""

    predictions: list[RowPrediction]


class RowExplanation(ReplyBody):
    """Why the prediction for a row is what it is."""

    key: dict[str, Any] | None = None
    prediction: float
    sum: float = Field(description="Base and contributions, before the limits of the answers.")
    base: float
    contributions: dict[str, float] = Field(description="Per feature; exact SHAP values.")


class SingleRowExplanation(RowExplanation, InUnit, SignedReply):
    """The explanation of one row."""


class ManyRowExplanations(InUnit, SignedReply):
    """The explanations of a list of rows, in its order."""

    explanations: list[RowExplanation]


class RowValidation(ReplyBody):
    """Rows that would be answered."""

    rows: int
    flagged: int


class ErrorProblem(ReplyBody):
    """One thing that is wrong."""

    field: str = Field(
        description="Name of a field, in a list with its place before it; body; or a header's name."
    )
    message: str


class ErrorContent(ErrorProblem):
    """What is wrong; field and message repeat the first of the problems."""

    problems: list[ErrorProblem] = Field(
        description="Every wrong field, in the order of a list; at most 20."
    )
    request_id: str


class ErrorReply(ReplyBody):
    """A refused request."""

    error: ErrorContent


class ServedVersion(ReplyBody):
    """A version in this process."""

    version: int
    role: Role
    since: datetime
    bundle: str
    family: str
    synthetic: bool = Field(description="Whether it learned from synthetic data.")
    info: dict[str, Any] = Field(description="receipt and metrics, from its bundle")


class ModelReply(ReplyBody):
    """Who answers."""

    champion: ServedVersion
    beside: ServedVersion | None = Field(None, description="the version of the rollout")
    rollout: Rollout | None = None
    problem: str = Field("", description="why the registry cannot be followed at the moment")
