"""What Mage's server decides by the head of a request, before it takes in the body.

Tornado keeps a body of any sender in memory until it is complete, and only then asks a handler what
it thinks of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, stream_request_body

from mlops.gateway.names import names_problem
from mlops.orchestration.web.refusing import refuse

STRANGERS_BYTES: Final = 1_000_000  # of a sign-in, or of a POST with a trigger's token
SIGNED_IN_BYTES: Final = 100_000_000  # files uploaded in the editor; Tornado's own limit


def guard(
    app: Any, names: Collection[str], is_signed_in: Callable[[HTTPServerRequest], bool]
) -> None:
    """Refuse requests that do not name this server (403), or whose body is too large (413).

    Args:
        app: Tornado's application; its search for a handler is changed.
        names: Host names of this server besides those of the loopback interface.
        is_signed_in: Tells by the head of a request whether it may have a large body.
    """
    find_handler = app.find_handler

    def find(request: HTTPServerRequest, **options: Any) -> Any:
        headers = request.headers
        hosts, origins = headers.get_list("Host"), headers.get_list("Origin")
        if problem := names_problem(hosts, origins, names):
            return app.get_handler_delegate(
                request, RefusedAtOnce, {"status": 403, "message": problem}
            )
        chunked = "Transfer-Encoding" in headers  # of a size that nobody knows yet
        announced = _announced(headers.get("Content-Length", ""))
        limit = STRANGERS_BYTES
        if (chunked or announced > limit) and is_signed_in(request):
            limit = SIGNED_IN_BYTES
        if announced > limit:
            message = f"the body is larger than {limit:,} bytes: send a smaller one"
            if limit == STRANGERS_BYTES:
                message += ", or sign in first"
            return app.get_handler_delegate(
                request, RefusedAtOnce, {"status": 413, "message": message}
            )
        connection: Any = request.connection  # of HTTP 1.x
        connection.set_max_body_size(limit)
        return find_handler(request, **options)

    app.find_handler = find


@stream_request_body  # or it would be called when the whole body is there
class RefusedAtOnce(RequestHandler):
    """Answers at once; Tornado closes the connection instead of reading the body."""

    def initialize(self, status: int, message: str) -> None:
        """Take what `guard` gives."""
        self._status, self._message = status, message

    def prepare(self) -> None:
        """Refuse every method."""
        self.set_header("Connection", "close")
        refuse(self, self._status, self._message)

    def data_received(self, chunk: bytes) -> None:
        """Drop what had arrived with the head."""


def _announced(length: str) -> int:
    """Return the size of a body; 0 if there is none, or what Tornado refuses as no number."""
    return int(length[:19]) if length.isascii() and length.isdigit() else 0
