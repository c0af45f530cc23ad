"""Callers of the server: over HTTP, with a key, in bulk or one trip after the other."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final

import requests

from demo.city import batches
from mlops.errors import ServerError
from mlops.serving.http.keys import add_key
from mlops.settings import Settings

NAME: Final = "demo"
_TRIPS_PER_REQUEST: Final = 200
_TIMEOUT_SECONDS: Final = 30.0
_PER_SECOND: Final = 10


class Callers:
    """Callers of the online server with a key of their own.

    Args:
        settings: Say where the server is, and where its keys are.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = f"{settings.serving_url}/predict"
        _, token = add_key(settings.served, NAME)
        self._headers = {"X-API-Key": token}
        self._session = _session()

    def ask(self, trips: Sequence[dict[str, Any]]) -> Counter[int]:
        """Ask about many trips; return how many each version answered.

        Raises:
            ServerError: If a request is not answered.
        """
        answered: Counter[int] = Counter()
        for batch in batches(trips, _TRIPS_PER_REQUEST):
            reply = self.post(self._session, {"trips": batch})
            if not reply.ok:
                raise ServerError(
                    f"{self._url} answered {reply.status_code}: {reply.text[:300]}",
                    "read the log of mlops serve",
                )
            answered[int(reply.json()["model_version"])] += len(batch)
        return answered

    def trickle(self, trips: Iterable[dict[str, Any]]) -> Trickle:
        """Return a context in which single trips are asked about, some per second."""
        return Trickle(self, trips)

    def post(self, session: requests.Session, body: Any) -> requests.Response:
        """Send one request."""
        return session.post(self._url, json=body, headers=self._headers, timeout=_TIMEOUT_SECONDS)


class Trickle:
    """Single requests, one after the other, in a thread.

    Attributes:
        left: Trips not asked about yet.
        answered: How many requests each version answered.
        problems: What went wrong, one text per failed request.
    """

    def __init__(self, callers: Callers, trips: Iterable[dict[str, Any]]) -> None:
        self.left = deque(trips)
        self.answered: Counter[int] = Counter()
        self.problems: list[str] = []
        self._callers = callers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Trickle:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        session = _session()
        while self.left and not self._over.wait(1 / _PER_SECOND):
            self._ask(session, self.left.popleft())

    def _ask(self, session: requests.Session, trip: dict[str, Any]) -> None:
        try:
            reply = self._callers.post(session, trip)
            if reply.ok:
                self.answered[int(reply.json()["model_version"])] += 1
            else:
                self.problems.append(f"{reply.status_code}: {reply.text[:200]}")
        except requests.RequestException as error:
            self.problems.append(f"{type(error).__name__}: {str(error)[:200]}")


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy stands between us and ourselves
    return session
