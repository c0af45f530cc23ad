"""Slow, endless and silent clients cost little and keep nobody else from being answered."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import uvicorn

from mlops.gateway import connections
from mlops.gateway.connections import (
    MAX_HEAD_BYTES,
    BoundedServer,
    ConnectionLimits,
    raise_file_limit,
)

PATIENCE = 60.0  # seconds, on a machine that others use
PATIENT = ConnectionLimits(connections=50, head_seconds=PATIENCE, body_seconds=PATIENCE)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
go_on = threading.Event()
LARGE = 30_000_000  # bytes: more than the buffers of two sockets hold


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once, without reading the body; ``/large`` with much, ``/echo`` with the body,
    ``/wait`` once somebody sets ``go_on``.
    """  # noqa: D205
    body = b"fine"
    if scope["path"] == "/wait":
        while not go_on.is_set():
            await asyncio.sleep(0.01)
    elif scope["path"] == "/large":
        body = b"x" * LARGE
    elif scope["path"] == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message.get("more_body", False)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def start() -> Iterator[Callable[..., Callable[[], socket.socket]]]:
    """Return a starter of servers; each returns what opens connections to it."""
    with contextlib.ExitStack() as stack:

        def call(limits: ConnectionLimits) -> Callable[[], socket.socket]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
            call.server = server = BoundedServer(config, limits)  # type: ignore[attr-defined]
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()

            def stop() -> None:
                server.force_exit = server.should_exit = True
                thread.join(PATIENCE)

            stack.callback(stop)

            def connect() -> socket.socket:
                client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
                return stack.enter_context(client)

            return connect

        yield call


def said(client: socket.socket) -> bytes:
    """All that the server says until it ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def ask(client: socket.socket, request: bytes = GET) -> bytes:
    client.sendall(request)
    return client.recv(65_536)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"GET /" + b"x" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["many headers", "a long header", "a long path"],
)
def test_a_large_head_is_refused(start: Any, head: bytes) -> None:
    client = start(PATIENT)()
    with contextlib.suppress(ConnectionError):  # refused before all of it is sent
        client.sendall(head)
    assert status(said(client)) == 431


def test_a_head_of_usual_size_is_accepted(start: Any) -> None:
    cookie = b"Cookie: " + b"x" * (MAX_HEAD_BYTES - 1_000) + b"\r\n"
    answer = ask(start(PATIENT)(), GET.replace(b"\r\n\r\n", b"\r\n" + cookie + b"\r\n"))
    assert status(answer) == 200


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\nx: ", b"x" * 1_000),
        (b"GET / HTTP/1.1\r\n", b"name: value\r\n" * 80),
        (b"GET /", b"x" * 1_000),
        (b"", b"\r\n" * 500),
        (GET, b"\r\n" * 500),
    ],
    ids=["value", "headers", "path", "nothing", "nothing after a request"],
)
def test_an_endless_head_is_refused_early(start: Any, begin: bytes, more: bytes) -> None:
    client = start(PATIENT)()
    client.sendall(begin)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            client.sendall(more)
            sent += len(more)
            client.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                if b"431" in client.recv(65_536):
                    break
            client.settimeout(PATIENCE)
    assert sent < 100 * MAX_HEAD_BYTES


@pytest.mark.parametrize("begin", [b"", b"GET / HT", GET + b"GET / HT"])
def test_a_head_that_does_not_arrive_is_given_up(start: Any, begin: bytes) -> None:
    client = start(replace(PATIENT, head_seconds=0.1))()
    client.sendall(begin)
    assert b"HTTP/1.1 408" in said(client)


@pytest.mark.parametrize("path", [b"/", b"/echo"])
def test_a_body_that_does_not_arrive_is_given_up(start: Any, path: bytes) -> None:
    client = start(replace(PATIENT, body_seconds=0.1))()
    client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    answer = said(client)
    assert b"HTTP/1.1 408" in answer
    assert (b"200 OK" in answer) == (path == b"/")


def test_an_answer_that_nobody_reads_is_given_up(start: Any) -> None:
    client = start(replace(PATIENT, send_seconds=0.1))()
    client.sendall(GET.replace(b"/", b"/large", 1))
    deadline = time.monotonic() + PATIENCE
    while not start.server.server_state.total_requests or start.server.server_state.connections:
        assert time.monotonic() < deadline, "the connection is kept"
        time.sleep(0.05)
    assert len(said(client)) < LARGE


def test_requests_follow_each_other_on_one_connection(start: Any) -> None:
    client = start(PATIENT)()
    for _ in range(3):
        assert status(ask(client)) == 200
    client.sendall(GET * 5)
    client.settimeout(PATIENCE)
    answers = b""
    while answers.count(b"fine") < 5:
        answers += client.recv(65_536)
    assert answers.count(b"200 OK") == 5
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    client.sendall(post)
    assert ask(client, b"abc").endswith(b"abc")


@pytest.mark.parametrize("half", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET])
def test_who_waits_longest_makes_room_for_who_asks(start: Any, half: bytes) -> None:
    # Given more silent or half-sent requests than there is room for
    connect = start(PATIENT)
    silent = [connect() for _ in range(3 * PATIENT.connections)]
    for client in silent:
        with contextlib.suppress(ConnectionError):
            client.sendall(half)
    # Then whoever asks is answered, as often as it likes
    for _ in range(3):
        assert status(ask(connect())) == 200
    # And the first were told why
    first = said(silent[0])
    assert b"HTTP/1.1 503" in first


def test_bad_http_is_refused_without_a_line_of_log(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(PATIENT)()
    client.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
    assert status(said(client)) == 400
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert status(ask(start(PATIENT)(), upgrade)) == 200
    assert not [record for record in caplog.records if record.name == "uvicorn.error"]


def test_there_are_fewer_connections_than_file_handles() -> None:
    assert ConnectionLimits.of(2_000, 1_024).connections == 1_024 - 256
    assert ConnectionLimits.of(2_000, 20_000).connections == 2_000
    assert ConnectionLimits.of(2_000, 10).connections == 1


def test_the_soft_limit_on_files_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (256, 4_096)}
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(connections.resource, "setrlimit", lambda _, pair: limits.update(now=pair))
    assert raise_file_limit() == 4_096
    assert limits["now"] == (4_096, 4_096)
    assert raise_file_limit() == 4_096
    limits["now"] = (1_024, resource.RLIM_INFINITY)
    assert raise_file_limit() == 65_536
    limits["now"] = endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert raise_file_limit() == 65_536 and limits["now"] == endless


@pytest.mark.parametrize(("more", "expected"), [(0, 200), (1, 431)])
def test_a_head_may_be_as_large_as_it_is_said(start: Any, more: int, expected: int) -> None:
    # Counted are the path, and the names and values of headers
    rest = MAX_HEAD_BYTES - len(b"/" + b"Host" + b"x" + b"Cookie") + more
    head = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"y" * rest + b"\r\n\r\n"

    assert status(ask(start(PATIENT)(), head)) == expected


@pytest.mark.parametrize(("more", "expected"), [(0, 200), (1, 431)])
def test_a_head_that_has_not_ended_may_be_as_large_too(
    start: Any, more: int, expected: int
) -> None:
    begin = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: "
    connect = start(PATIENT)
    client = connect()
    client.sendall(begin + b"y" * (MAX_HEAD_BYTES - len(begin) + more))
    if expected == 200:
        deadline = time.monotonic() + PATIENCE
        while [c._head_bytes for c in start.server.server_state.connections] != [MAX_HEAD_BYTES]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.sendall(b"\r\n\r\n")
    assert status(client.recv(65_536)) == expected


@pytest.mark.parametrize(
    ("head", "body"), [(b"POST /echo", b"abc"), (b"POST /wait", b""), (b"GET /wait", b"")]
)
def test_a_request_that_is_being_answered_makes_no_room(
    start: Any, head: bytes, body: bytes
) -> None:
    go_on.clear()
    connect = start(replace(PATIENT, connections=1))
    client = connect()
    client.sendall(head + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
    deadline = time.monotonic() + PATIENCE
    while start.server.waiting or not start.server.server_state.connections:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert status(said(connect())) == 503
    go_on.set()
    assert ask(client, body).endswith(body or b"fine")
