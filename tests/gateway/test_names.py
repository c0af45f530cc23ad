"""A server answers who names it, and no page of another site."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mlops.gateway.names import KnownNames


async def _fine(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def status(headers: list[tuple[bytes, bytes]], path: str = "/", *names: str) -> int:
    app = KnownNames(_fine, names, lambda path: path == "/closed")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"path": path, "headers": headers}, None, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host",
    [
        b"localhost:5000",
        b"127.0.0.1",
        b"127.0.0.1:5000",
        b"[::1]:5000",
        b"LOCALHOST",
        b"mlflow:5000",
    ],
)
def test_its_own_names_are_answered(host: bytes) -> None:
    assert status([(b"host", host)], "/", "mlflow") == 200
    origin = (b"origin", b"http://" + host)
    assert status([(b"host", host), origin], "/", "mlflow") == 200
    assert status([(b"host", host), origin], "/closed", "mlflow") == 403


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:5000",
        b"127.0.0.1.evil.example",
        b"localhost@evil.example",
        b"evil.example:80@localhost:x",
        b"mlflow",
        b"[::1",
        b"",
    ],
)
def test_other_names_are_refused(host: bytes) -> None:
    assert status([(b"host", host)]) == 403


@pytest.mark.parametrize(
    "headers", [[], [(b"host", b"localhost"), (b"host", b"evil.example")]], ids=["none", "two"]
)
def test_a_request_names_exactly_one_host(headers: list[tuple[bytes, bytes]]) -> None:
    assert status(headers) == 403


@pytest.mark.parametrize(
    "origin",
    [
        b"http://evil.example",
        b"null",
        b"http://localhost:6789",
        b"http://localhost",
        b"file://",
        b"http://[",
    ],
)
def test_pages_of_other_sites_and_ports_are_refused(origin: bytes) -> None:
    assert status([(b"host", b"localhost:5000"), (b"origin", origin)]) == 403
