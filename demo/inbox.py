"""Where the alerts of the demonstration arrive: a real web server that keeps what is posted."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Inbox:
    """Receives webhooks on a port of the loopback, from entering until leaving the context.

    Attributes:
        messages: Alerts as JSON, in the order in which they came.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        inbox = self

        class InboxHandler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                inbox.messages.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), InboxHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    def of(self, incident: str, kind: str = "") -> list[dict[str, Any]]:
        """Return the messages about incidents whose key begins so, of one kind or of all."""
        return [
            message
            for message in self.messages
            if message["incident"].startswith(incident) and kind in ("", message["kind"])
        ]

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
