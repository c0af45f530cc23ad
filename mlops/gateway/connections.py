"""Connections that cost little before anything is known of who is at the other end.

An HTTP parser keeps the head of a request until it is complete, and an event loop waits for the
rest for ever: without bounds a few slow or endless heads take all memory or all file handles. Here
each head has a size and a time, each body a time, and when there are too many connections, the one
that has waited longest for a head makes room: a prompt request always gets through.
"""

from __future__ import annotations

import json
import math
import resource
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 16_384  # request line and headers
HEAD_SECONDS: Final = 10.0  # for a head, from its first byte or from the connection's start
BODY_SECONDS: Final = 30.0  # for a body, from the end of its head
SEND_SECONDS: Final = 30.0  # in which a reader must have taken something of what waits for it
_MARGIN_SECONDS: Final = 5.0  # after which this module does what others should have done
_FILE_LIMIT: Final = 65_536
_OTHER_FILES: Final = 256  # that a process opens besides connections
_SWEEP_TICKS: Final = 10  # of uvicorn, ten a second

# What a connection waits for.
_NEXT, _HEAD, _BODY, _ANSWER = range(4)

_REASONS: Final = {
    400: "the request is not valid HTTP",
    408: "the request did not arrive in time",
    431: f"the request line and the headers are larger than {MAX_HEAD_BYTES:,} bytes",
    503: "the server has too many connections",
}


def raise_file_limit() -> int:
    """Raise this process's soft limit on open files as far as it may; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILE_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _FILE_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _FILE_LIMIT if soft == resource.RLIM_INFINITY else soft


@dataclass(frozen=True)
class ConnectionLimits:
    """How much a server bears, per process.

    Attributes:
        connections: Open at the same time.
        head_seconds: For a head.
        body_seconds: For a body.
        send_seconds: For a reader to take something.
    """

    connections: int
    head_seconds: float = HEAD_SECONDS
    body_seconds: float = (
        BODY_SECONDS + _MARGIN_SECONDS
    )  # the reader of the body reports it earlier
    send_seconds: float = SEND_SECONDS

    @classmethod
    def of(cls, wanted: int, open_files: int) -> ConnectionLimits:
        """Return limits for so many connections, or as many as the limit on open files allows."""
        return cls(max(min(wanted, open_files - _OTHER_FILES), 1))


class BoundedServer(uvicorn.Server):
    """uvicorn's server with bounded connections.

    Args:
        config: Of uvicorn; its protocol is replaced.
        limits: On connections.
    """

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        self.limits = limits
        # Oldest first: who has sent no complete head since.
        self.waiting: dict[_BoundedConnection, None] = {}
        config.http = self._connection  # type: ignore[assignment]  # called, never subclassed
        super().__init__(config)

    def _connection(self, **options: Any) -> _BoundedConnection:
        return _BoundedConnection(self, **options)

    def make_room(self) -> None:
        """End the connection that has waited longest, maybe the newest one, if there are many."""
        if len(self.server_state.connections) > self.limits.connections:
            next(iter(self.waiting)).refuse(503)

    async def on_tick(self, counter: int) -> bool:
        """End what has taken too long, once a second."""
        if counter % _SWEEP_TICKS == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, _BoundedConnection):
                    connection.check()
        return await super().on_tick(counter)


class _BoundedConnection(HttpToolsProtocol):
    """One connection, which knows what it waits for and how long it may."""

    def __init__(self, crowd: BoundedServer, **options: Any) -> None:
        super().__init__(**options)
        self._crowd = crowd
        self._stage = _HEAD
        self._head_bytes = 0
        self._refusal = 400
        self._deadline = math.inf
        self._unsent = math.inf  # bytes of an answer, when last looked at

    def connection_made(self, transport: Any) -> None:
        """Take the connection, and let one make room for it."""
        super().connection_made(transport)
        self._await_head(self._crowd.limits.head_seconds, _HEAD)
        self._crowd.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._crowd.waiting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; refuse what is no HTTP, and heads without end."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self._stage <= _HEAD:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # it is answered as the plain request that it is as well
        except httptools.HttpParserError:
            self.refuse(self._refusal)
            return
        if self._stage <= _HEAD and self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(431)

    def on_message_begin(self) -> None:
        """Give the head its time."""
        super().on_message_begin()
        self._await_head(self._crowd.limits.head_seconds, _HEAD)

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large although it came in one piece; else answer."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refusal = 431
            raise ValueError(_REASONS[431])
        self._head_bytes = 0
        self._crowd.waiting.pop(self, None)
        self._stage = _BODY
        self._deadline = self.loop.time() + self._crowd.limits.body_seconds
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the answer, unless it was given before the body had arrived."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()
        else:
            self._stage = _ANSWER
            self._deadline = self.loop.time() + self._crowd.limits.send_seconds

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._stage == _ANSWER and not self.pipeline:
            self._rest()

    def check(self) -> None:
        """End the connection if its time is over."""
        now = self.loop.time()
        if now < self._deadline:
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent >= self._unsent:
            self.transport.abort()  # nobody reads
            return
        computing = self.cycle is not None and not self.cycle.response_complete
        if not unsent and (self._stage == _BODY or not computing):
            self.refuse(408)
            return
        self._unsent = unsent or math.inf
        self._deadline = now + self._crowd.limits.send_seconds

    def refuse(self, status: int) -> None:
        """Say why, unless an answer has begun, and end the connection."""
        self._crowd.waiting.pop(self, None)
        self._deadline = self.loop.time() + self._crowd.limits.send_seconds
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_reply(status))
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # whatever is still computed goes nowhere
            cycle.message_event.set()
        self.transport.close()

    def _await_head(self, seconds: float, stage: int) -> None:
        self._stage, self._unsent = stage, math.inf
        self._deadline = self.loop.time() + seconds
        self._crowd.waiting.pop(self, None)
        self._crowd.waiting[self] = None

    def _rest(self) -> None:
        # uvicorn's own timer closes idle connections; what cannot even be closed is ended here.
        seconds: float = self.timeout_keep_alive + _MARGIN_SECONDS
        if self.transport.get_write_buffer_size():
            seconds = self._crowd.limits.send_seconds
        self._await_head(seconds, _NEXT)


def _reply(status: int) -> bytes:
    body = json.dumps({"error": {"field": "request", "message": _REASONS[status]}}).encode()
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    ).encode() + body
