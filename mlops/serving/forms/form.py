"""What the server needs of a dataset: how its requests are read, answered, logged and described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from pydantic import BaseModel

from mlops.serving.answers.answering import Answer
from mlops.serving.answers.routing import Version
from mlops.serving.log.rows import LogLayout
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import DEFAULT_DATASET, Settings

# From this size on a body is worth a thread: parsing it would keep the others waiting.
THREAD_BYTES: Final = 16_384


@dataclass(frozen=True)
class Lookup:
    """A list that callers need to write requests.

    Attributes:
        path: Where it is asked for.
        summary: What it is.
        reply: One element.
        rows: Returns the elements.
        section: Returns the lines of HTML that describe them on the page.
    """

    path: str
    summary: str
    reply: type[BaseModel]
    rows: Callable[[], list[dict[str, Any]]]
    section: Callable[[], Iterator[str]]


@dataclass(frozen=True)
class ApiDescription:
    """What the OpenAPI document and the page say of a dataset.

    Attributes:
        title: Of both.
        description: What is predicted.
        requests: One request, and a list of them.
        posts: Summary and replies of the paths that models answer.
        examples: Bodies by name.
        too_many: What the status 413 means.
        lookups: Lists that requests refer to.
    """

    title: str
    description: str
    requests: tuple[type[BaseModel], type[BaseModel]]
    posts: Mapping[str, tuple[str, tuple[type[BaseModel], ...]]]
    examples: Mapping[str, Any]
    too_many: str
    lookups: tuple[Lookup, ...] = ()


class RequestForm(Protocol):
    """Reads requests and writes answers; ``asked`` is what `read` returns, one row or many."""

    @property
    def api(self) -> ApiDescription:
        """What it looks like from outside."""

    @property
    def log(self) -> LogLayout:
        """How its answers are logged."""

    def require(self, model: CompiledModel) -> None:
        """Make sure that a model can answer such requests.

        Raises:
            MlopsError: If it was trained for others.
        """

    def read(self, body: bytes, as_of: datetime | None) -> tuple[Any, Any]:
        """Read a body and hold it to the rules.

        Args:
            body: JSON of one row, or of a list of rows.
            as_of: Where the champion's knowledge of the past ends.

        Returns:
            What is asked, and its flags: names of rules, of a list by the row's position.

        Raises:
            RequestError: Naming every wrong field.
        """

    def ask(self, version: Version, asked: Any) -> Answer:
        """Ask a version.

        Raises:
            ModelFailureError: If it cannot answer.
        """

    def write(
        self, answer: Answer, asked: Any, flags: Any, version: Version, role: str, request_id: str
    ) -> bytes:
        """Write an answer as JSON."""

    def explain(self, version: Version, asked: Any, request_id: str) -> bytes:
        """Explain a version's predictions as JSON.

        Raises:
            RequestError: 413 if these are too many.
        """

    def validated(self, asked: Any, flags: Any) -> bytes:
        """Say of a request that it would be answered, as JSON."""


def form_of(settings: Settings) -> RequestForm:
    """Return the form of the requests of the dataset that the settings name.

    Raises:
        ConfigurationError: If there is no such dataset, or its definition is wrong.
    """
    if settings.dataset == DEFAULT_DATASET:
        from mlops.serving.forms.trips import TripForm

        return TripForm(settings)
    from mlops.datasets.opening import declared_definition
    from mlops.serving.forms.tables import TableForm

    return TableForm(declared_definition(settings), settings.serving)
