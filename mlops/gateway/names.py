"""Requests are answered only if they call the server by one of its own names.

A page of any site can make its own name point to this machine (DNS rebinding) and then talk to
servers here as if they were its own, without a sign-in stopping it where there is none. The header
Host betrays it: the browser sends the page's name. Origin betrays a page that sends a request
across sites.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST: Final = re.compile(r"(?:(?P<name>[\w.-]+)|\[(?P<ipv6>[\da-f:.]+)\])(?::\d+)?")

App = Callable[[Mapping[str, Any], Any, Any], Awaitable[None]]


class KnownNames:
    """Passes on requests (ASGI) that name this server, and no others.

    Args:
        app: That answers them.
        names: Hosts without ports, besides those of the loopback interface.
        closed: Tells by its path whether a route is closed to everybody.
    """

    def __init__(
        self,
        app: App,
        names: Collection[str] = (),
        closed: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self._app = app
        self._names = names
        self._closed = closed

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer 403, or pass the request on."""
        problem = names_problem(_values(scope, b"host"), _values(scope, b"origin"), self._names)
        if not problem and self._closed(scope["path"]):
            problem = "this route is closed"
        if not problem:
            await self._app(scope, receive, send)
            return
        body = json.dumps({"error_code": "PERMISSION_DENIED", "message": problem}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def names_problem(hosts: Sequence[str], origins: Sequence[str], names: Collection[str]) -> str:
    """Return why a request is refused; empty if it is not.

    Args:
        hosts: Each Host header of the request.
        origins: Each Origin header of it.
        names: Hosts without ports, besides those of the loopback interface.
    """
    known = LOOPBACK_NAMES | {name.lower() for name in names}
    if len(hosts) != 1 or _name(hosts[0]) not in known:
        return "unknown Host: address the server by one of its own names, or add it to server.names"
    if any(origin.partition("://")[2] != hosts[0] for origin in origins):
        return "the request comes from a page of another site"
    return ""


def _values(scope: Mapping[str, Any], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _name(host: str) -> str:
    """Return a host without its port, in lower case; empty if it is none."""
    found = _HOST.fullmatch(host.lower())
    return (found["name"] or found["ipv6"]) if found else ""
