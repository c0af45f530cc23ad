"""What the server refuses: an HTTP status, the field that is wrong, and why, for the caller."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.errors import MlopsError


class RequestError(MlopsError):
    """A request that is refused.

    Args:
        status: HTTP status, 4xx; 503 while there is no model.
        field: What is wrong, e.g. ``trips.3.pickup_zone``, ``body`` or a header's name.
        message: Why.
        headers: To send along, e.g. ``Retry-After``.
    """

    def __init__(
        self, status: int, field: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.headers = dict(headers or {})
