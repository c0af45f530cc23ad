"""Mage's doors: everything is shut to strangers but a list so short that it can be read.

Mage decides route by route, resource by resource, what needs a sign-in, and forgets some. Here each
handler of the application asks for one before anything else, except those named in this file.
Import only after `environment.boot`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import urlparse

from mage_ai.api.utils import authenticate_client_and_token, parse_cookie_header
from mage_ai.authentication.oauth2 import decode_token
from mage_ai.data_preparation.models.triggers import ScheduleStatus, ScheduleType
from mage_ai.orchestration.db.models.oauth import Oauth2Application
from mage_ai.orchestration.db.models.schedules import PipelineSchedule
from mage_ai.server import server
from mage_ai.server.api.triggers import ApiTriggerPipelineHandler
from mage_ai.server.api.v1 import ApiListHandler
from mage_ai.server.scheduler_manager import scheduler_manager
from mage_ai.server.static.files import StaticFileHandler
from mage_ai.settings import OAUTH2_APPLICATION_CLIENT_ID
from mage_ai.shared.requests import get_bearer_auth_token_from_headers
from tornado.web import RequestHandler, url

from mlops.orchestration import runs
from mlops.orchestration.access import SignInLimit, client_address

# The same files for everybody, as published with Mage: they hold no data, and ask to sign in.
FRONT_END: Final = (
    server.MainPageHandler,
    server.ManagePageHandler,
    server.PipelineRunsPageHandler,
    StaticFileHandler,
)
_STATUS: Final = {"resource": "statuses", "bypass_oauth_check": True, "is_health_check": True}


def shut(app: Any, limit: SignInLimit, behind_proxy: bool) -> None:
    """Ask for a sign-in wherever it is not certain that none is needed.

    Args:
        app: Mage's application; its rules are changed in place.
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
        url(r"/api/pipeline_schedules/(?P<pipeline_schedule_id>\d+)/api_trigger", Trigger),
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
        _refuse(self, 403, "this route of Mage is closed")


class SignIn(ApiListHandler):  # type: ignore[misc]
    """Lets people in, a few attempts a minute."""

    def initialize(self, limit: SignInLimit, behind_proxy: bool) -> None:
        """Take what `shut` gave."""
        super().initialize(resource="sessions")
        self._limit, self._behind_proxy = limit, behind_proxy

    def prepare(self) -> Any:
        """Refuse other sites' pages, and whoever has tried too often."""
        if self.request.method != "POST":
            return _refuse(self, 405, "send a POST")
        if _from_another_site(self.request):
            return _refuse(self, 403, "refused: the request comes from another site's page")
        forwarded = self.request.headers.get("X-Forwarded-For", "")
        address = client_address(self.request.remote_ip, forwarded, self._behind_proxy)
        wait = math.ceil(self._limit.wait_seconds(address))
        if wait:
            self.set_header("Retry-After", str(wait))
            return _refuse(self, 429, f"too many attempts to sign in: try again in {wait} s")
        return super().prepare()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say that it failed, without Mage's stack trace."""
        _refuse(self, max(status_code, 400), "the request cannot be read")


class Status(ApiListHandler):  # type: ignore[misc]
    """Tells strangers only what the sign-in page needs, and whether the server is well."""

    def prepare(self) -> Any:
        """Refuse every method but GET."""
        if self.request.method != "GET":
            return _refuse(self, 405, "send a GET")
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


class Trigger(ApiTriggerPipelineHandler):  # type: ignore[misc]
    """Starts a run for whoever has the trigger's token, and for nobody else.

    Mage would answer errors with 200, take any column of the run from the body (a run created as
    completed never runs), rank variables outside ``pipeline_run`` below the trigger's own, and
    switch a trigger on that a person has switched off.
    """

    def prepare(self) -> None:
        """Check token, trigger and body before Mage looks at them."""
        if self.request.method != "POST":
            return _refuse(self, 405, "send a POST")
        runs.forget()  # or a token changed by another process would not be seen
        trigger = PipelineSchedule.query.get(int(self.path_kwargs["pipeline_schedule_id"]))
        given = get_bearer_auth_token_from_headers(self.request.headers) or ""
        is_api = trigger is not None and trigger.schedule_type == ScheduleType.API
        expected = (trigger.token if is_api else None) or ""
        # The same answer whether the trigger or the token is wrong: numbers are easy to guess.
        if not expected or not compare_digest(given.strip().encode(), expected.encode()):
            return _refuse(self, 401, "no API trigger with this number has this token")
        if trigger.status != ScheduleStatus.ACTIVE:
            return _refuse(self, 409, f"the trigger {trigger.name!r} is switched off")
        problem = body_problem(self.request.body)
        return _refuse(self, 400, problem) if problem else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say that it failed, as an error and without Mage's stack trace."""
        _refuse(self, status_code, "the run could not be created: see the server's log")


def body_problem(body: bytes) -> str:
    """Return what is wrong with the body of a trigger's request; empty if nothing is."""
    form = 'send {"pipeline_run": {"variables": {…}}}'
    try:
        content = json.loads(body or b"{}")
    except ValueError as error:
        return f"the body is not JSON ({error}): {form}"
    run = content.get("pipeline_run", {}) if isinstance(content, dict) else None
    if not isinstance(run, dict) or not isinstance(run.get("variables", {}), dict):
        return f"the body has another form: {form}"
    others = sorted((content.keys() - {"pipeline_run"}) | (run.keys() - {"variables"}))
    return f"{', '.join(others)}: is not accepted here: {form}" if others else ""


@functools.cache
def for_the_signed_in(handler: type[Any]) -> type[Any]:
    """Return a handler that asks who it is before anything else."""

    class Guarded(handler):  # type: ignore[misc]
        def prepare(self) -> Any:
            if not is_signed_in(self.request):
                return _refuse(self, 401, "sign in first")
            # A page of another site, or port, in the same browser would bring the cookie along.
            if _from_another_site(self.request):
                return _refuse(self, 403, "refused: the request comes from another site's page")
            return super().prepare()

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


def _from_another_site(request: Any) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and urlparse(origin).netloc != request.headers.get("Host")


def _refuse(handler: RequestHandler, status: int, message: str) -> None:
    handler.set_status(status)
    handler.set_header("Content-Type", "application/json")
    handler.finish({"error": {"code": status, "message": message}})
