"""The little of HTTP that is needed between an ASGI server and a handler: bodies in, replies out.

ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html. Frameworks do the same at several times
the cost of a prediction.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from mlops.gateway.connections import BODY_SECONDS
from mlops.serving.answers.errors import RequestError

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Any  # ASGI's callables
Send: TypeAlias = Any

_JSON: Final = (b"content-type", b"application/json")
# What is printed in logs and metrics, and hashed for the rollout: no quotes, no control characters.
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:\-]{1,128}").fullmatch


@dataclass(frozen=True)
class Reply:
    """A complete response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def request_id_of(scope: Scope) -> str:
    """Return the caller's ``X-Request-Id`` if it is sane, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if _SANE_ID(value):
                return str(value, "ascii")
            break
    return os.urandom(16).hex()  # not the random module: forked workers would share its state


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the whole body, or no more than the limit.

    Args:
        scope: Of the request.
        receive: ASGI's.
        limit: In bytes.

    Raises:
        RequestError: 415 if its content type is not JSON; 413 if it is too long, announced or not;
            408 if it does not arrive; 400 if the caller leaves.
    """
    for name, value in scope["headers"]:
        if name == b"content-length":
            if int(value) > limit:
                raise _too_large(limit)
        elif name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            if kind != b"application/json" and not kind.endswith(b"+json"):
                raise RequestError(415, "Content-Type", "send application/json")
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise RequestError(415, "Content-Encoding", "send the body uncompressed")
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise RequestError(400, "body", "the caller disconnected")
        return _bounded(body, limit)
    try:
        return await asyncio.wait_for(_rest(body, receive, limit), BODY_SECONDS)
    except asyncio.TimeoutError as error:
        raise RequestError(
            408, "body", f"did not arrive within {BODY_SECONDS:g} s", {"Connection": "close"}
        ) from error


async def _rest(body: bytes, receive: Receive, limit: int) -> bytes:
    parts, size, more = [body], len(body), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "body", "the caller disconnected")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return _bounded(b"".join(parts), limit)


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> RequestError:
    # What is still on its way is not read: the connection cannot be used again.
    return RequestError(
        413, "body", f"is larger than {limit:,} bytes: send a smaller one", {"Connection": "close"}
    )


async def send_reply(send: Send, reply: Reply, request_id: str) -> None:
    """Send a complete response."""
    headers = [
        _JSON,
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.headers:
        headers += [(k.lower().encode(), v.encode("latin-1")) for k, v in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def error_reply(error: RequestError, request_id: str) -> Reply:
    """Say what is wrong, as `mlops.serving.forms.replies.ErrorReply` describes it."""
    content = {**error.content, "request_id": request_id}
    return Reply(error.status, json.dumps({"error": content}).encode(), error.headers)
