"""What the story waits for, as anybody could: servers, runs, the prediction log and metrics."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import requests

from demo.callers import NAME
from demo.servers import RUN_SECONDS, Servers
from mlops.errors import PipelineFailureError
from mlops.orchestration.runs.history import blocks_since, recent_runs
from mlops.serving.log.reading import read_log

_DONE: Final = ("completed", "failed", "cancelled")
_LAST_RUNS: Final = 30
_TIMEOUT_SECONDS: Final = 10.0


class DemoWatch:
    """Waits for what servers do.

    Args:
        servers: Whose home is watched.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._settings = servers.settings
        self._begun = datetime.now(timezone.utc)

    def answers(self, what: str, url: str) -> None:
        """Wait until an address answers."""

        def look() -> bool | None:
            try:
                return requests.get(url, timeout=_TIMEOUT_SECONDS).ok or None
            except requests.RequestException:
                return None

        self._servers.wait_for(what, look)

    def observes(self, metric: str, value: float) -> None:
        """Wait until the observer tells a metric with a value."""
        url = f"http://127.0.0.1:{self._settings.observability.metrics_port}/metrics"
        beginnings = (f"{metric} ", f"{metric}{{")

        def look() -> bool | None:
            try:
                lines = requests.get(url, timeout=_TIMEOUT_SECONDS).text.splitlines()
            except requests.RequestException:
                return None
            values = (float(line.split()[-1]) for line in lines if line.startswith(beginnings))
            return True if any(math.isclose(each, value) for each in values) else None

        self._servers.wait_for(f"{metric} {value:g} in the observer's metrics", look)

    def logs(self, since: datetime, trips: int) -> None:
        """Wait until monitoring would see so many answers: it leaves out what is being written."""
        lag = timedelta(seconds=2 * self._settings.prediction_log.flush_seconds + 1)

        def look() -> bool | None:
            until = datetime.now(timezone.utc) - lag
            if until <= since:
                return None
            callers = read_log(self._settings, since, until, ["caller"])["caller"]
            return True if int((callers == NAME).sum()) >= trips else None

        self._servers.wait_for(f"{trips:,} answers in the prediction log", look)

    def ends(self, run: int, what: str) -> None:
        """Wait for the end of a pipeline run.

        Raises:
            PipelineFailureError: If it fails, with what failed in it.
        """

        def look() -> dict[str, Any] | None:
            runs = recent_runs(self._settings, _LAST_RUNS)
            return next((r for r in runs if r["run"] == run and r["status"] in _DONE), None)

        row = self._servers.wait_for(f"{what}, run {run}", look, RUN_SECONDS)
        if row["status"] != "completed":
            blocks = blocks_since(self._settings, self._begun)
            errors = "; ".join(
                f"{b['pipeline']}.{b['block']}: {b['error']}" for b in blocks if b["error"]
            )
            raise PipelineFailureError(
                f"{what}, run {run}, {row['status']}: {errors}", f"read {self._settings.logs}"
            )
