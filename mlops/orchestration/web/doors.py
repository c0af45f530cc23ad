"""Mage's doors: everything is shut to strangers but a list so short that it can be read.

Mage decides route by route, resource by resource, what needs a sign-in, and forgets some. Here each
handler of the application asks for one before anything else, except those named in this file.
Import only after `environment.boot`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Final

from mage_ai.api.utils import authenticate_client_and_token, parse_cookie_header
from mage_ai.authentication.oauth2 import decode_token
from mage_ai.orchestration.db.models.oauth import Oauth2Application
from mage_ai.server import server
from mage_ai.server.api.v1 import ApiListHandler
from mage_ai.server.scheduler_manager import scheduler_manager
from mage_ai.server.static.files import StaticFileHandler
from mage_ai.settings import OAUTH2_APPLICATION_CLIENT_ID
from mage_ai.shared.requests import get_bearer_auth_token_from_headers
from tornado.web import RequestHandler, url

from mlops.orchestration.triggers.access import SignInLimit, client_address
from mlops.orchestration.web import forms, trigger_doors
from mlops.orchestration.web.refusing import refuse, refuse_error
from mlops.settings import Settings

# The same files for everybody, as published with Mage: they hold no data, and ask to sign in.
FRONT_END: Final = (
    server.MainPageHandler,
    server.ManagePageHandler,
    server.PipelineRunsPageHandler,
    StaticFileHandler,
)
_STATUS: Final = {"resource": "statuses", "bypass_oauth_check": True, "is_health_check": True}


def shut(app: Any, settings: Settings, limit: SignInLimit, behind_proxy: bool) -> None:
    """Ask for a sign-in wherever it is not certain that none is needed.

    Args:
        app: Mage's application; its rules are changed in place.
        settings: Of the home.
        limit: On attempts to sign in.
        behind_proxy: Whether a proxy of ours names the client's address.
    """
    rules: list[Any] = app.wildcard_router.rules
    for rule in rules:
        if rule.target not in FRONT_END:
            rule.target = for_the_signed_in(rule.target)
    rules[:0] = [
        url(r"/api/sessions", SignIn, {"limit": limit, "behind_proxy": behind_proxy}),
        url(r"/api/status(?:es)?", Status, _STATUS),
        *trigger_doors.rules(settings),
        # Not even for the signed-in: whatever they start, another trigger does better.
        url(r"/api/events/?", Refused),
        url(r"/api/event_matchers(?:/.*)?", Refused),
        url(r"/api/runs(?:/.*)?", Refused),
        url(r"/metrics", Refused),
    ]


class Refused(RequestHandler):
    """Answers nobody."""

    def prepare(self) -> None:
        """Refuse every method."""
        refuse(self, 403, "this route of Mage is closed")


class SignIn(ApiListHandler):  # type: ignore[misc]
    """Lets people in, a few attempts a minute."""

    def initialize(self, limit: SignInLimit, behind_proxy: bool) -> None:
        """Take what `shut` gave."""
        super().initialize(resource="sessions")
        self._limit, self._behind_proxy = limit, behind_proxy

    def prepare(self) -> Any:
        """Refuse callers that have tried too often."""
        if self.request.method != "POST":
            return refuse(self, 405, "send a POST")
        forwarded = self.request.headers.get("X-Forwarded-For", "")
        address = client_address(self.request.remote_ip, forwarded, self._behind_proxy)
        wait = math.ceil(self._limit.wait_seconds(address))
        if wait:
            self.set_header("Retry-After", str(wait))
            return refuse(self, 429, f"too many attempts to sign in: try again in {wait} s")
        return super().prepare()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say that it failed, without Mage's stack trace."""
        refuse(self, max(status_code, 400), "the request cannot be read")


class Status(ApiListHandler):  # type: ignore[misc]
    """Tells strangers only what the sign-in page needs, and whether the server is well."""

    def prepare(self) -> Any:
        """Refuse every method but GET."""
        if self.request.method != "GET":
            return refuse(self, 405, "send a GET")
        return super().prepare()

    async def get(self) -> None:
        """Answer; to the signed-in Mage adds paths and process ids."""
        if is_signed_in(self.request):
            await super().get()
            return
        status = {
            "is_instance_manager": False,
            "require_user_authentication": True,
            "require_user_permissions": False,
            "scheduler_status": scheduler_manager.get_status(),
        }
        self.write({"statuses": [status], "metadata": {}})


@functools.cache
def for_the_signed_in(handler: type[Any]) -> type[Any]:
    """Return a handler that asks who it is before anything else."""

    class Guarded(handler):  # type: ignore[misc]
        def prepare(self) -> Any:
            if not is_signed_in(self.request):
                return refuse(self, 401, "sign in first")
            problem = forms.problem(self.request)
            return refuse_error(self, 200, problem) if problem else super().prepare()

    Guarded.__name__ = handler.__name__
    return Guarded


def is_signed_in(request: Any) -> bool:
    """Tell whether a request carries a valid session, where Mage looks for it."""
    client = Oauth2Application.query_client(OAUTH2_APPLICATION_CLIENT_ID)
    token = _session_token(request.headers)
    return bool(token and client is not None and authenticate_client_and_token(client.id, token)[1])


def _session_token(headers: Mapping[str, str]) -> str | None:
    given = headers.get("OAUTH-TOKEN") or get_bearer_auth_token_from_headers(headers)
    cookie = parse_cookie_header(headers.get("Cookie", "")).get("oauth_token")
    if given or not cookie:
        return given or None
    try:
        token: str | None = decode_token(cookie).get("token")
    except Exception:  # not one of ours
        return None
    return token
