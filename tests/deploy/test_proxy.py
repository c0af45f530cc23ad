"""The reverse proxy as configured, in front of stand-ins: TLS, what it lets in and keeps out."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.servers import free_ports

CADDYFILE = Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile"
CADDY = shutil.which("caddy")


class Echo(http.server.BaseHTTPRequestHandler):
    """Says which server it is and what it was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        asked = {
            "server": self.server.server_port,  # type: ignore[attr-defined]
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "bytes": len(self.rfile.read(length)),
        }
        content = json.dumps(asked).encode()
        upgrade = self.headers.get("Upgrade") == "websocket"
        self.send_response(101 if upgrade else 200)
        if upgrade:
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not upgrade:
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


class Server(http.server.ThreadingHTTPServer):
    """Keeps quiet of connections that were cut off."""

    def handle_error(self, *args: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Proxy:
    """A running proxy and the ports around it."""

    https: int
    serving: int
    http: int
    grafana: int
    mage_stand_in: int
    serving_stand_in: int
    grafana_stand_in: int
    trust: ssl.SSLContext

    def ask(
        self, port: int, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Return the status, the answer as JSON (None if it is none), and its headers."""
        connection = http.client.HTTPSConnection("localhost", port, context=self.trust, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, names)
            response = connection.getresponse()
            text = b"" if response.status == 101 else response.read()
        finally:
            connection.close()
        answer = json.loads(text) if text.startswith(b"{") else None
        return response.status, answer, response.headers


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if CADDY is None:
        pytest.skip("no caddy: install Debian's package caddy")
    folder = tmp_path_factory.mktemp("proxy")
    stand_ins = [Server(("127.0.0.1", 0), Echo) for _ in range(3)]
    for server in stand_ins:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    behind = [server.server_port for server in stand_ins]
    names = [f"MLOPS_{name}_PORT" for name in ("HTTPS", "PREDICTIONS", "HTTP", "GRAFANA")]
    ports = dict(zip(names, free_ports(4), strict=True))
    environment = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "MLOPS_SITE": "localhost",
        **{
            f"MLOPS_{name}": f"127.0.0.1:{port}"
            for name, port in zip(("MAGE", "SERVING", "GRAFANA"), behind, strict=True)
        },
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [CADDY, "run", "--config", CADDYFILE, "--adapter", "caddyfile"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            root = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
            yield _when_up(process, folder / "log", root, [*ports.values(), *behind])
        finally:
            process.terminate()
            process.wait(timeout=30)
            for server in stand_ins:
                server.shutdown()


def _when_up(
    process: subprocess.Popen[bytes],
    log: Path,
    root: Path,
    ports: list[int],
) -> Proxy:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
        try:
            trust = ssl.create_default_context(cafile=str(root))
            proxy = Proxy(*ports, trust)
            proxy.ask(proxy.https, "GET", "/")
            proxy.ask(proxy.serving, "GET", "/healthz")
            proxy.ask(proxy.grafana, "GET", "/")
        except (OSError, ssl.SSLError):
            continue
        return proxy


def test_pages_pass_under_tls_with_what_keeps_browsers_safe(proxy: Proxy) -> None:
    status, asked, headers = proxy.ask(proxy.https, "GET", "/pipelines?_limit=30")

    assert status == 200
    assert (asked["server"], asked["path"]) == (proxy.mage_stand_in, "/pipelines?_limit=30")
    assert asked["headers"]["x-forwarded-proto"] == "https"
    # Mage compares the page's origin with the host.
    assert asked["headers"]["host"] == f"localhost:{proxy.https}"
    assert headers["Strict-Transport-Security"] and headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "BaseHTTP" not in (headers["Server"] or "")


def test_without_tls_one_is_sent_to_tls(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("localhost", proxy.http, timeout=30)
    connection.request("GET", "/pipelines")
    response = connection.getresponse()

    assert response.status == 308
    assert response.headers["Location"].startswith("https://localhost")
    connection.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(proxy: Proxy, version: ssl.TLSVersion) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = version
    old.set_ciphers("ALL:@SECLEVEL=0")

    with (
        socket.create_connection(("localhost", proxy.https), timeout=30) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.parametrize(
    "path",
    [
        *("/api/events", "/api/events/1", "/api/%65vents", "//api/events", "/API/Events"),
        *("/api/event_matchers", "/api/event_matchers/1?include_pipeline_schedules=1"),
        *("/api/runs", "/api/runs/token", "/metrics"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_mage_leaves_open_never_reaches_it(proxy: Proxy, method: str, path: str) -> None:
    status, asked, _ = proxy.ask(proxy.https, method, path)

    assert (status, asked) == (403, None)


def test_nobody_can_pretend_to_be_elsewhere(proxy: Proxy) -> None:
    _, asked, _ = proxy.ask(proxy.https, "GET", "/", X_Forwarded_For="10.1.2.3")

    assert "10.1.2.3" not in asked["headers"]["x-forwarded-for"]


def test_websockets_pass(proxy: Proxy) -> None:
    status, _, _ = proxy.ask(
        proxy.https,
        "GET",
        "/websocket/",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )

    assert status == 101


def test_a_body_that_is_too_large_is_refused(proxy: Proxy) -> None:
    fits, too_large = b" " * 1_000_000, b" " * 4_100_000

    assert proxy.ask(proxy.serving, "POST", "/predict", fits)[0] == 200
    # Caddy 2.6 cuts it off on the way and says 502; later ones say 413.
    assert proxy.ask(proxy.serving, "POST", "/predict", too_large)[0] in (413, 502)


def test_the_online_server_is_reached_by_its_routes_only(proxy: Proxy) -> None:
    for path in ("/predict", "/explain", "/model", "/healthz", "/readyz", "/openapi.json"):
        status, asked, _ = proxy.ask(proxy.serving, "POST", path, X_API_Key="secret")
        assert (status, asked["server"], asked["path"]) == (200, proxy.serving_stand_in, path)
        assert asked["headers"]["x-api-key"] == "secret"
    for path in ("/metrics", "/", "/predict/", "/api/pipelines", "/docs"):
        assert proxy.ask(proxy.serving, "GET", path)[:2] == (404, None), path


def test_grafana_is_reached_under_tls_but_not_what_it_tells_of_itself(proxy: Proxy) -> None:
    status, asked, headers = proxy.ask(proxy.grafana, "GET", "/d/mlops-overview")

    assert (status, asked["server"]) == (200, proxy.grafana_stand_in)
    assert asked["headers"]["host"] == f"localhost:{proxy.grafana}"  # it checks the page's origin
    assert headers["Strict-Transport-Security"]
    assert proxy.ask(proxy.grafana, "GET", "/metrics")[:2] == (403, None)


def test_other_names_are_not_served(proxy: Proxy) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    with (
        socket.create_connection(("localhost", proxy.https), timeout=30) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw, server_hostname="elsewhere.example")
