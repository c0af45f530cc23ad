"""Mage's own web server with its dashboards repaired and its doors shut.

Nothing of the installed package is changed on disk: rules are put in front of the application.
Import only after `environment.boot`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from mage_ai.api.utils import authenticate_client_and_token, parse_cookie_header
from mage_ai.authentication.oauth2 import decode_token
from mage_ai.authentication.passwords import create_bcrypt_hash, generate_salt
from mage_ai.orchestration.db.models.oauth import Oauth2Application, User
from mage_ai.server import server
from mage_ai.server.api.blocks import ApiPipelineBlockAnalysisHandler
from mage_ai.server.events.stream import EventStreamHandler
from mage_ai.server.scheduler_manager import scheduler_manager
from mage_ai.server.terminal_server import TerminalWebsocketServer
from mage_ai.server.websocket_server import WebSocketServer
from mage_ai.settings import OAUTH2_APPLICATION_CLIENT_ID
from tornado.web import RequestHandler, url

from mlops.orchestration import access
from mlops.orchestration.lock import is_held
from mlops.orchestration.naming import SCHEDULER_LOCK
from mlops.settings import Settings


def run(settings: Settings, project: Path, password: str, owner_marker: Path) -> None:
    """Serve Mage's user interface until the process is ended (see `processes.run_web`)."""
    _enter_owner(settings.server.owner_email, password, owner_marker)
    make_app = server.make_app
    server.make_app = lambda *args, **kwargs: _guard(make_app(*args, **kwargs))
    # Mage waits for tables that another process may still be creating; ours exist.
    server.sleep = lambda seconds: None
    # Mage would make a folder for SSH tunnels in the project.
    server.file_path_aws_emr = lambda: str(settings.home / "server" / "ssh_tunnel.json")
    _show_our_scheduler(settings.home / SCHEDULER_LOCK)
    server.start_server(
        host=settings.server.host,
        port=settings.server.mage_port,
        project=str(project),
        instance_type="web_server",
    )


def _enter_owner(email: str, password: str, marker: Path) -> None:
    """Note whether Mage is about to create the owner; apply a password chosen by a person."""
    if User.query.count() == 0:
        marker.touch()
    elif access.chosen_password() is not None:
        owner = User.query.filter(User.email == email).first()
        if owner is not None:
            salt = generate_salt()
            owner.update(password_salt=salt, password_hash=create_bcrypt_hash(password, salt))


def _show_our_scheduler(lock: Path) -> None:
    """Let the page tell the truth about our scheduler, and never start a second one."""
    status = scheduler_manager.SchedulerStatus
    scheduler_manager.get_status = lambda auto_restart=False: (
        status.RUNNING if is_held(lock) else status.STOPPED
    )
    scheduler_manager.start_scheduler = lambda *args, **kwargs: None
    scheduler_manager.stop_scheduler = lambda *args, **kwargs: None


class Refused(RequestHandler):
    """Answers what Mage would answer to anybody, even with sign-in on."""

    def prepare(self) -> None:
        """Refuse every method."""
        self.set_status(403)
        self.finish({"error": {"code": 403, "message": "refused: open to anybody in Mage"}})


def _guard(app: Any) -> Any:
    """Put our rules in front of Mage's."""
    terminal = next(
        rule.target_kwargs
        for rule in app.wildcard_router.rules
        if rule.target is TerminalWebsocketServer
    )
    rules = [
        # Runs pipelines and discloses trigger tokens without sign-in.
        url(r"/api/events/?", Refused),
        url(r"/api/event_matchers(?:/.*)?", Refused),
        url(r"/metrics", Refused),
        # Sent kernel and terminal output of signed-in users to anybody who listened.
        url(r"/websocket/", _for_the_signed_in(WebSocketServer)),
        url(r"/websocket/terminal", _for_the_signed_in(TerminalWebsocketServer), terminal),
        url(r"/event-streams/(?P<uuid>[^/]+)", _for_the_signed_in(EventStreamHandler)),
        url(
            r"/api/pipelines/(?P<pipeline_uuid>\w+)/blocks/(?P<block_uuid>[\w\-\%\.]+)/analyses",
            _for_the_signed_in(ApiPipelineBlockAnalysisHandler),
        ),
        # Mage's own rule for page layouts swallows the charts below them.
        url(
            r"/api/(?P<resource>page_block_layouts)/(?P<pk>.+)"
            r"/(?P<child>block_layout_items)/(?P<child_pk>.+)",
            server.ApiChildDetailHandler,
        ),
    ]
    app.wildcard_router.rules[:0] = rules
    return app


def _for_the_signed_in(handler: type[Any]) -> type[Any]:
    """Return a handler that asks for the sign-in cookie before anything else."""

    class Guarded(handler):  # type: ignore[misc]
        def check_origin(self, origin: str) -> bool:
            # Another site's page in the same browser would bring the cookie along.
            return bool(urlparse(origin).netloc == self.request.headers.get("Host"))

        async def get(self, *args: Any, **kwargs: Any) -> None:
            if not _is_signed_in(self.request.headers.get("Cookie", "")):
                self.set_status(403)
                self.finish("sign in first")
                return
            result = super().get(*args, **kwargs)
            if isinstance(result, Awaitable):
                await result

    return Guarded


def _is_signed_in(cookie_header: str) -> bool:
    cookie = parse_cookie_header(cookie_header).get("oauth_token")
    client = Oauth2Application.query_client(OAUTH2_APPLICATION_CLIENT_ID)
    if not cookie or client is None:
        return False
    try:
        token = decode_token(cookie).get("token")
    except Exception:  # not one of ours
        return False
    return bool(authenticate_client_and_token(client.id, token)[1])
