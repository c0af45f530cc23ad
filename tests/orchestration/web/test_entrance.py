"""The head of a request decides who is answered, and how large a body is taken in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("tornado", reason="comes with Mage")

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from mlops.orchestration.web import entrance

CHUNKED = "Transfer-Encoding: chunked"


class Echo(RequestHandler):
    """Says how many bytes it got."""

    def post(self) -> None:
        self.write(str(len(self.request.body)))

    get = post


def asked(head: str, body: bytes = b"", *, signed_in: bool = False) -> tuple[int, Any]:
    """Return status and answer of one request; only what is given of its body is sent."""

    async def ask() -> bytes:
        app = Application([("/", Echo)])
        entrance.guard(app, {"mage.example"}, lambda request: signed_in)
        listening, port = bind_unused_port()
        server = HTTPServer(app)
        server.add_socket(listening)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode("latin-1") + b"\r\n\r\n" + body)
        answer = await asyncio.wait_for(_answer(reader), 30)
        writer.close()
        server.stop()
        await server.close_all_connections()
        return answer

    received, _, content = asyncio.run(ask()).partition(b"\r\n\r\n")
    return int(received.split()[1]), json.loads(content or b"null")


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0].split()[1]) if lengths else 0)


def post(length: int | str, host: str = "localhost:6789") -> str:
    return f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}"


@pytest.mark.parametrize("host", ["localhost:6789", "127.0.0.1", "[::1]:6789", "Mage.example"])
def test_requests_that_name_the_server_are_answered(host: str) -> None:
    assert asked(f"{post(4, host)}\r\nOrigin: https://{host}", b"body") == (200, 4)


@pytest.mark.parametrize(
    "head",
    [
        post(4, "evil.example:6789"),
        post(4, "localhost.evil.example"),
        post(4) + "\r\nHost: evil.example",
        post(4) + "\r\nOrigin: http://evil.example",
        post(4) + "\r\nOrigin: http://localhost:5000",
        post(4) + "\r\nOrigin: null",
        "GET / HTTP/1.0",
    ],
)
@pytest.mark.parametrize("signed_in", [False, True])
def test_other_names_and_pages_of_other_sites_are_refused(head: str, signed_in: bool) -> None:
    status, answer = asked(head, b"body", signed_in=signed_in)

    assert status == 403
    assert "Host" in answer["error"]["message"] or "another site" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("length", "signed_in"),
    [
        (entrance.STRANGERS_BYTES + 1, False),
        (60_000_000, False),
        ("9" * 5_000, False),
        (entrance.SIGNED_IN_BYTES + 1, True),
    ],
    ids=str,
)
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(
    length: int | str, signed_in: bool
) -> None:
    status, answer = asked(post(length), b"the first bytes", signed_in=signed_in)

    assert status == 413
    assert "sign in" in answer["error"]["message"] or signed_in


def test_the_signed_in_may_upload_large_files() -> None:
    size = 3 * entrance.STRANGERS_BYTES

    assert asked(post(size), bytes(size), signed_in=True) == (200, size)
    assert asked(post(entrance.STRANGERS_BYTES), bytes(entrance.STRANGERS_BYTES))[0] == 200


def test_a_body_of_unknown_size_is_cut_off_at_the_limit() -> None:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\n{CHUNKED}"
    chunks = (b"80000\r\n" + bytes(0x80000) + b"\r\n") * 2  # 1,048,576 bytes
    end = b"0\r\n\r\n"

    assert asked(head, chunks + end, signed_in=True) == (200, 0x100000)
    assert asked(head, chunks + end)[0] == 400
