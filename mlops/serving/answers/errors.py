"""What the server refuses: an HTTP status, the field that is wrong, and why, for the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mlops.errors import MlopsError

MAX_PROBLEMS: Final = 20  # in one answer: enough to mend a list, and never a large answer


class Problem(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        field: E.g. ``rows.3.distance``, ``body`` or a header's name.
        message: Why.
    """

    field: str
    message: str


class RequestError(MlopsError):
    """A request that is refused.

    Args:
        status: HTTP status, 4xx; 503 while there is no model.
        field: What is wrong, e.g. ``rows.3.distance``, ``body`` or a header's name.
        message: Why.
        headers: To send along, e.g. ``Retry-After``.

    Attributes:
        problems: All that is wrong, as far as it is known; the first is ``field`` and ``message``.
    """

    def __init__(
        self, status: int, field: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.headers = dict(headers or {})
        self.problems: Sequence[Problem] = (Problem(field, message),)

    @property
    def content(self) -> dict[str, Any]:
        """What the caller gets."""
        problems = [problem._asdict() for problem in self.problems]
        return {"field": self.field, "message": self.message, "problems": problems}


class FieldsError(RequestError):
    """A request with one wrong field or more.

    Args:
        problems: At least one.
        readable: What could be read of the rows that have wrong fields: their place (empty, or
            e.g. ``rows.3.``) and their good fields.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        readable: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> None:
        super().__init__(422, *problems[0])
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.readable = readable
