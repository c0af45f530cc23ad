"""What wrk prints is read with its units, and a server that refuses is no measurement."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import Call, _own, parse_wrk
from benchmarks.measuring import MeasurementError

_SAID = """Running 2s test @ http://127.0.0.1:8000/healthz
  1 threads and 1 connections
  Latency Distribution
     50%   40.00us
     75%   51.00us
     90%  120.00us
     99%    2.67ms
  43662 requests in 2.00s, 6.04MB read
Requests/sec:  21831.12
Transfer/sec:      3.02MB
"""


def test_times_and_the_rate_are_read() -> None:
    found = parse_wrk(_SAID)
    assert found.p50 == pytest.approx(40e-6)
    assert found.p99 == pytest.approx(2.67e-3)
    assert found.per_second == 21831.12


def test_what_is_no_result_is_an_error() -> None:
    with pytest.raises(MeasurementError):
        parse_wrk("unable to connect to 127.0.0.1:8000 Connection refused")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good" else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def test_our_own_client_counts_answers_and_takes_no_refusal() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        found = asyncio.run(_own(Call(f"{url}/good"), connections=2, seconds=0.3))
        with pytest.raises(MeasurementError, match="503"):
            asyncio.run(_own(Call(f"{url}/bad"), connections=1, seconds=0.3))
    finally:
        server.shutdown()
        server.server_close()
    assert 0 < found.p50 <= found.p99
    assert found.per_second > 0
