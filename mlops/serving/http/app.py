"""The application of one worker: who asks what, which version answers, and what is recorded.

The requests that models answer are handled here, below any framework; what is asked rarely is a
FastAPI application behind it (`mlops.serving.http.api`). Nothing is changed in place while requests
run: the versions at hand are one reference, replaced whole.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops.serving.answers.answering import Answer, ModelFailureError
from mlops.serving.answers.errors import RequestError
from mlops.serving.answers.metrics import ServingMetrics
from mlops.serving.answers.routing import CHAMPION, Lineup, Role, Version
from mlops.serving.answers.shadows import Shadows
from mlops.serving.forms.form import THREAD_BYTES, RequestForm, form_of
from mlops.serving.http.access import Door
from mlops.serving.http.http import (
    Receive,
    Reply,
    Scope,
    Send,
    error_reply,
    read_body,
    request_id_of,
    send_reply,
)
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.serving.log.prediction_log import PredictionLog

logger = logging.getLogger(__name__)

OPEN: Final = ("/healthz", "/readyz", "/", "/docs", "/openapi.json")
_INTERNAL: Final = RequestError(500, "server", "the server failed; its log says why under this id")

App = Callable[[Any, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class ServerRequest:
    """What a handler knows."""

    id: str
    caller: str
    endpoint: str
    body: bytes
    started: float  # by time.perf_counter


@dataclass(frozen=True)
class HandledRequest:
    """What a handler made: the reply, and what to do once it is sent."""

    reply: Reply
    after: Callable[[], None] | None = None


class Application:
    """Answers HTTP (ASGI).

    Args:
        settings: `settings.serving` and the data contract's limits.
        door: Lets callers in.
        metrics: Of this process.
        log: Of this process; None to log nothing.
        form: Of the requests; by default that of the dataset that the settings name.

    Attributes:
        form: The same.
        lineup: The versions at hand; None before a champion is loaded. Replace it, never change it.
        reason: Why there is no champion yet.
        others: Answers the paths that are not handled here.
    """

    def __init__(
        self,
        settings: Settings,
        door: Door,
        metrics: ServingMetrics,
        log: PredictionLog | None,
        form: RequestForm | None = None,
    ) -> None:
        from mlops.serving.http.api import build_api

        self.settings = settings
        self.form = form = form or form_of(settings)
        self._open = frozenset({*OPEN, *(lookup.path for lookup in form.api.lookups)})
        self.lineup: Lineup | None = None
        alive = {"status": "ok", "dataset": settings.dataset}
        self._alive = Reply(200, json.dumps(alive).encode())
        self.reason = "the server has just started"
        self.others: App = build_api(self)
        self._door = door
        self._metrics = metrics
        self._log = log
        # One thread: two that parse would only take the interpreter from each other.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lists")
        self._shadows = Shadows(metrics.shadow_dropped)
        self._posts: dict[str, Callable[[ServerRequest], HandledRequest]] = {
            "/predict": self._predict,
            "/validate": self._validate,
            "/explain": self._explain,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is an answer too."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        started = time.perf_counter()
        request_id, path = request_id_of(scope), scope["path"]
        endpoint = path if path in self._posts or path in self._open else "other"
        try:
            if path == "/healthz" and scope["method"] == "GET":
                outcome = HandledRequest(self._alive)
            else:
                caller = "" if path in self._open else self._door.caller(scope["headers"])
                handler = self._posts.get(path)
                if handler is None:
                    await self._pass_on(scope, receive, send, request_id, endpoint)
                    return
                if scope["method"] != "POST":
                    raise RequestError(405, "method", "send POST", {"Allow": "POST"})
                body = await read_body(scope, receive, self.settings.serving.max_body_bytes)
                request = ServerRequest(request_id, caller, path[1:], body, started)
                if len(body) < THREAD_BYTES and path != "/explain":
                    outcome = handler(request)
                else:
                    loop = asyncio.get_running_loop()
                    outcome = await loop.run_in_executor(self._pool, handler, request)
        except RequestError as error:
            outcome = HandledRequest(error_reply(error, request_id))
        except Exception:
            logger.exception("request %s failed", request_id)
            outcome = HandledRequest(error_reply(_INTERNAL, request_id))
        await send_reply(send, outcome.reply, request_id)
        self._metrics.request(endpoint, outcome.reply.status)
        if outcome.after:
            try:
                outcome.after()
            except Exception:  # the caller has the answer: nothing may take it back
                logger.exception("what follows request %s failed", request_id)

    def close(self) -> None:
        """Finish what runs beside the requests."""
        self._pool.shutdown(wait=True)
        self._shadows.close()

    def swap(self, lineup: Lineup) -> None:
        """Let other versions answer from the next request on."""
        self.lineup = lineup
        self._metrics.holding([(version.number, role) for version, role in lineup.versions])

    def require_lineup(self) -> Lineup:
        """Return the versions at hand.

        Raises:
            RequestError: 503 before there is one.
        """
        lineup = self.lineup
        if lineup is None:
            raise RequestError(503, "model", self.reason, {"Retry-After": "1"})
        return lineup

    def _predict(self, request: ServerRequest) -> HandledRequest:
        lineup, form = self.require_lineup(), self.form
        asked, flags = form.read(request.body, lineup.champion.model.as_of)
        version, role, answer = self._answered(lineup, request.id, asked)
        body = form.write(answer, asked, flags, version, role, request.id)
        seconds = time.perf_counter() - request.started

        def after() -> None:
            self._record(request, version.number, role, answer, seconds)
            rolled = lineup.rolled_out(request.id)
            if rolled and rolled[1] == "shadow":
                self._shadows.cast(partial(self._predict_beside, request, rolled[0], asked))

        return HandledRequest(Reply(200, body), after)

    def _validate(self, request: ServerRequest) -> HandledRequest:
        as_of = self.require_lineup().champion.model.as_of
        return HandledRequest(Reply(200, self.form.validated(*self.form.read(request.body, as_of))))

    def _explain(self, request: ServerRequest) -> HandledRequest:
        champion = self.require_lineup().champion
        asked, _ = self.form.read(request.body, champion.model.as_of)
        return HandledRequest(Reply(200, self.form.explain(champion, asked, request.id)))

    def _answered(
        self, lineup: Lineup, request_id: str, asked: Any
    ) -> tuple[Version, Role, Answer]:
        """Let one version answer; where a canary fails, the champion does."""
        rolled = lineup.rolled_out(request_id)
        if rolled and rolled[1] == "canary":
            try:
                return *rolled, self.form.ask(rolled[0], asked)
            except ModelFailureError as error:
                self._failed(rolled[0], "canary", error, request_id)
        try:
            return lineup.champion, CHAMPION, self.form.ask(lineup.champion, asked)
        except ModelFailureError as error:
            self._failed(lineup.champion, CHAMPION, error, request_id)
            raise

    def _failed(
        self, version: Version, role: str, error: ModelFailureError, request_id: str
    ) -> None:
        self._metrics.of(version.number, role).failed(error.kind)
        logger.warning(
            "version %d (%s) failed on request %s: %s",
            version.number,
            role,
            request_id,
            error.__cause__ or error.kind,
        )

    def _record(
        self, request: ServerRequest, version: int, role: Role, answer: Answer, seconds: float
    ) -> None:
        minutes = answer.minutes
        center = minutes[:, 0] if isinstance(minutes, np.ndarray) else minutes[0][:1]
        self._metrics.of(version, role).answered(seconds, center)
        if self._log is not None:
            self._log.append(
                request_id=request.id,
                caller=request.caller,
                endpoint=request.endpoint,
                version=version,
                role=role,
                columns=answer.columns,
                miles=answer.miles,
                minutes=answer.minutes,
            )

    def _predict_beside(self, request: ServerRequest, version: Version, asked: Any) -> None:
        started = time.perf_counter()
        try:
            answer = self.form.ask(version, asked)
        except ModelFailureError as error:
            self._failed(version, "shadow", error, request.id)
        else:
            seconds = time.perf_counter() - started
            self._record(request, version.number, "shadow", answer, seconds)

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, endpoint: str
    ) -> None:
        """Let FastAPI answer, and add to its response what all responses carry."""
        status = 500

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self.others({**scope, "request_id": request_id}, receive, noting)
        finally:
            self._metrics.request(endpoint, status)
