"""Bodies and replies: what is read to the last byte that is allowed, and not one more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mlops.serving.answers.errors import RequestError
from mlops.serving.http import http
from mlops.serving.http.http import Reply, error_reply, read_body, request_id_of, send_reply

LIMIT = 10


def read(*messages: dict[str, Any], **headers: str) -> bytes:
    """Read a body that arrives in these messages; ask for more than there are and it fails."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(60)
        return {"type": "http.request", **left.pop(0)}

    names = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    return asyncio.run(read_body({"headers": names}, receive, LIMIT))


def refused(*messages: dict[str, Any], **headers: str) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        read(*messages, **headers)
    return caught.value.status, caught.value.field


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"body": body, "more_body": more}


@pytest.mark.parametrize(
    "messages",
    [
        [{"body": b"x" * LIMIT}],
        [part(b"x" * LIMIT, False)],
        [part(b"x" * 4), part(b"x" * 6, False)],
        [part(b""), part(b"x" * 5), {"body": b"x" * 5}],
    ],
)
def test_a_body_of_the_largest_size_is_read_whole(messages: list[dict[str, Any]]) -> None:
    assert read(*messages, content_length=str(LIMIT)) == b"x" * LIMIT
    assert read(*messages) == b"x" * LIMIT


@pytest.mark.parametrize(
    "messages",
    [
        [{"body": b"x" * (LIMIT + 1)}],
        [part(b"x" * LIMIT), part(b"x", False)],
        [part(b"x" * LIMIT), part(b"x")],  # what would come after it is not awaited
        [part(b"x"), part(b"x" * LIMIT)],
    ],
)
def test_one_byte_more_is_refused_and_the_rest_is_not_read(messages: list[dict[str, Any]]) -> None:
    assert refused(*messages) == (413, "body")
    assert refused(content_length=str(LIMIT + 1)) == (413, "body")


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"content_type": "text/plain"}, "Content-Type"),
        ({"content_type": "application/xml+jsonx"}, "Content-Type"),
        ({"content_encoding": "gzip"}, "Content-Encoding"),
        ({"content_type": "application/json", "content_encoding": "br"}, "Content-Encoding"),
    ],
)
def test_what_is_said_not_to_be_json_is_not_read(headers: dict[str, str], field: str) -> None:
    assert refused(**headers) == (415, field)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_type": "application/json; charset=utf-8", "content_encoding": "IDENTITY"},
        {"content_type": "APPLICATION/JSON"},
        {"content_type": "application/vnd.trips+json"},
        {"x_other": "gzip", "content_type": " application/json ;x"},
    ],
)
def test_json_by_any_of_its_names_is_read(headers: dict[str, str]) -> None:
    assert read({"body": b"{}"}, **headers) == b"{}"


def test_a_caller_who_leaves_has_sent_nothing() -> None:
    gone = {"type": "http.disconnect"}
    assert refused(gone) == (400, "body")
    assert refused(part(b"half"), gone) == (400, "body")


def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.01)
    assert refused(part(b"half")) == (408, "body")


@pytest.mark.parametrize("sane", ["a", "A-1._:", "x" * 128])
@pytest.mark.parametrize("strange", ["", "x" * 129, "a b", 'a"', "a\nb"])
def test_the_first_request_id_counts_if_it_is_sane(sane: str, strange: str) -> None:
    def of(*values: str) -> str:
        return request_id_of({"headers": [(b"x-request-id", v.encode()) for v in values]})

    assert of(sane) == of(sane, strange) == sane
    assert len(of(strange, sane)) == len(of()) == 32
    assert of() != of()


def test_a_reply_says_its_length_and_the_id_of_its_request() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    error = RequestError(413, "body", "is too large", {"Connection": "close"})
    reply = error_reply(error, "r-1")
    asyncio.run(send_reply(send, reply, "r-1"))
    asyncio.run(send_reply(send, Reply(200, b"{}"), "r-2"))

    content = json.loads(reply.body)["error"]
    assert (content["field"], content["message"]) == ("body", "is too large")
    assert content["request_id"] == "r-1"
    first, body, second, _ = sent
    headers = dict(first["headers"])
    assert first["status"] == 413 and body["body"] == reply.body
    assert headers[b"content-length"] == str(len(reply.body)).encode()
    assert (headers[b"connection"], headers[b"x-request-id"]) == (b"close", b"r-1")
    assert dict(second["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": b"2",
        b"x-request-id": b"r-2",
    }
