"""The story, step by step: a quiet city, a closed bridge, and how the loop closes by itself.

Nothing is staged but the trips. Servers, pipelines, requests, files and messages are real; each
step waits for what the one before must lead to, and reads it where a person would: from records,
the registry, the observer's metrics and the alerts that arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from typing import Any

from demo.callers import Callers, Trickle
from demo.city import AFTER, CHANGED, LEARNED, QUIET, City
from demo.facts import DemoFacts, live_rmse, required
from demo.inbox import Inbox
from demo.plan import DemoSize
from demo.servers import Servers
from demo.watching import DemoWatch
from mlops.counting import counted
from mlops.deployment.records import Records
from mlops.errors import MlopsError, PipelineFailureError
from mlops.monitoring.findings.alerting import DASHBOARD
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    read_decisions,
    read_windows,
)
from mlops.notifications.events import MONITORING
from mlops.orchestration.triggers.client import start_pipeline
from mlops.registry.versions import Registry
from mlops.retraining.records import read_record


class Story:
    """Tells the story; every step raises a `MlopsError` if the loop does not do its part.

    Args:
        servers: In whose home it takes place.
        inbox: Where alerts arrive.
        size: How much of everything.
        say: Given each line for the person who watches.
    """

    def __init__(
        self, servers: Servers, inbox: Inbox, size: DemoSize, say: Callable[[str], None]
    ) -> None:
        self.settings = servers.settings
        self.facts = DemoFacts()
        self._servers = servers
        self._inbox = inbox
        self._say = say
        self._city = City(self.settings, self.settings.home / "city", size.rows, size.seed)
        self._watch = DemoWatch(servers)
        self._monitoring = f"{self.settings.mage_url}{DASHBOARD}"

    def learn(self) -> None:
        """Train the first champion, as the README's first command does."""
        with self._step("learn", "A model is trained on two normal months: mlops run"):
            self._city.publish(*LEARNED)
            outcome = self._servers.run("run")
            version = outcome["registered"]["champion"]
            if version is None:
                raise PipelineFailureError(outcome["registered"]["summary"], "see its verdict")
            evaluation = required(required(Registry(self.settings).get(version)).evaluation)
            self.facts.first, self.facts.offline = version, evaluation.metrics.rmse
            self._say(
                f"version {version} is champion: wrong by {self.facts.offline:.2f} minutes (RMSE)"
                " on a week it had not seen"
            )

    def open_up(self, look: Sequence[str] = ()) -> None:
        """Start the servers: Mage with its scheduler, MLflow, the observer; and the online one."""
        with self._step("open", "The servers start: mlops up, mlops serve"):
            self._servers.start("up")
            self._servers.start("serve")
            self._callers = Callers(self.settings)
            self._watch.answers("the online server", f"{self.settings.serving_url}/readyz")
            self._watch.answers("Mage", f"{self.settings.mage_url}/api/status")
            self._watch.observes("mlops_model_champion_version", self.facts.first)
            for line in look:
                self._look(line)

    def be_quiet(self) -> None:
        """Answer a quiet month; its labels arrive; monitoring finds nothing."""
        with self._step("quiet", f"{QUIET}: requests arrive, trips end, nothing has changed"):
            windows, decision = self._live_through(QUIET)
            self.facts.quiet = live_rmse(windows)
            self._say(
                f"monitoring: {decision.decision.step}; live RMSE {self.facts.quiet:.2f} minutes,"
                f" as the test promised ({self.facts.offline:.2f})"
            )
            if decision.decision.step != "ok" or self._inbox.of(MONITORING):
                raise MlopsError(
                    f"a quiet month raised an alarm: {'; '.join(decision.decision.reasons)}",
                    f"see the windows: mlops monitor --list (MLOPS_HOME={self.settings.home})",
                )
            self._look(f"{self._monitoring}  the windows")

    def close_the_bridge(self) -> None:
        """Answer a month in which every trip takes longer; monitoring must start a retraining."""
        with self._step("drift", f"{CHANGED}: a bridge closes, every trip takes 60 % longer"):
            windows, decision = self._live_through(CHANGED)
            self.facts.drifted, self._worst = live_rmse(windows), windows[-1].window
            self._say(
                f"live RMSE {self.facts.drifted:.2f} minutes;"
                f" monitoring: {decision.decision.step}, because {decision.decision.reasons[0]}"
            )
            for reason in decision.decision.reasons[1:4]:
                self._say(f"  · {reason}")
            if decision.started != "retraining":
                raise MlopsError(
                    f"monitoring did not start a retraining: {decision.decision.step},"
                    f" {decision.problem or '; '.join(decision.decision.reasons)}",
                    f"see the decision: mlops monitor --list (MLOPS_HOME={self.settings.home})",
                )
            self._retraining = required(decision.started_run)
            alert = self._servers.wait_for(
                "the alert", partial(self._message, MONITORING, "monitoring")
            )
            self._say(f"an alert arrived: “{alert['title']}”")
            self._look(f"{self._monitoring}  the errors")
            self._look(f"{self.settings.mage_url}/pipelines/retraining/runs/{self._retraining}")

    def learn_again(self) -> None:
        """Wait while the new world is learned, judged, watched as a canary and promoted."""
        with self._step("retrain", f"Retraining, run {self._retraining}; requests keep arriving"):
            later = self._city.requests(AFTER)
            with self._callers.trickle(later[: len(later) // 2]) as trickle:
                report = self._servers.run("report", "window", self._worst)
                self._look(f"file://{report['path']}  what monitoring saw")
                self._watch.ends(self._retraining, "the retraining")
                self._new_champion(trickle)
            self._later = [*trickle.left, *later[len(later) // 2 :]]
            self.facts.answered = dict(trickle.answered)
            if trickle.problems:
                raise MlopsError(
                    f"{counted(len(trickle.problems), 'request')} failed meanwhile:"
                    f" {trickle.problems[0]}",
                    "read the log of mlops serve",
                )
            shares = ", ".join(f"version {v}: {n}" for v, n in sorted(trickle.answered.items()))
            self._say(f"no request failed meanwhile ({shares})")
            self._look(f"http://127.0.0.1:{self.settings.server.mlflow_port}  the versions")

    def recover(self) -> None:
        """Answer the next month by the new version; the alert must end."""
        with self._step("recover", f"{AFTER}: the bridge stays closed"):
            windows, decision = self._live_through(AFTER, self._later)
            self.facts.recovered = live_rmse(windows)
            self._say(
                f"monitoring: {decision.decision.step}; live RMSE"
                f" {self.facts.recovered:.2f} minutes"
            )
            if decision.decision.step != "ok":
                raise MlopsError(
                    f"the new version still raises alarms: {'; '.join(decision.decision.reasons)}",
                    f"see the windows: mlops monitor --list (MLOPS_HOME={self.settings.home})",
                )
            self._watch.observes("mlops_model_champion_version", self.facts.second)
            over = self._servers.wait_for(
                "the end of the alert", partial(self._message, f"{MONITORING}model", "recovered")
            )
            self._say(f"a message arrived: “{over['title']}”")
            self._look(f"{self.settings.mage_url}  the front page: error over time, champion")

    def summarize(self) -> None:
        """Say what happened, in three numbers."""
        facts = self.facts
        self._say("")
        self._say(f"RMSE  before {facts.quiet:.2f}  ·  bridge closed {facts.drifted:.2f}  ·"
                  f"  learned again {facts.recovered:.2f} minutes")  # fmt: skip
        total = sum(facts.seconds.values())
        self._say(f"The loop closed by itself in {total:.0f} s: nobody typed a command.")

    def _live_through(
        self, month: str, trips: Sequence[dict[str, Any]] | None = None
    ) -> tuple[tuple[WindowRecord, ...], DecisionRecord]:
        """Ask about a month, let its trips end, and let monitoring look."""
        trips = self._city.requests(month) if trips is None else trips
        champion = required(Registry(self.settings).champion_version())
        asked = datetime.now(timezone.utc)
        known = {window.window for window in read_windows(self.settings)}
        answered = self._callers.ask(trips)
        self._say(f"{answered.total():,} trips were requested, version {champion} answered")
        self._watch.logs(asked, answered.total())
        self._city.publish(month)
        self._say(f"the file of {month} appeared in the source: now the durations are known")
        run = start_pipeline(self.settings, "monitoring", {})
        self._watch.ends(run, "the monitoring")
        windows = tuple(
            window
            for window in read_windows(self.settings, champion)
            if window.window not in known and window.labelled
        )
        decisions = read_decisions(self.settings)
        if not windows or not decisions:
            raise MlopsError(
                f"monitoring run {run} measured no window of version {champion}",
                f"read its log in {self.settings.logs}",
            )
        self._say(f"monitoring run {run} measured {counted(len(windows), 'window')}")
        self._watch.observes("mlops_model_live_rmse_minutes", live_rmse(windows[-1:]))
        # The first may have begun in the month before.
        inside = tuple(w for w in windows if f"{w.report.start:%Y-%m}" == month)
        return inside or windows, decisions[-1]

    def _new_champion(self, trickle: Trickle) -> None:
        registry = Registry(self.settings)
        champion = required(registry.champion())
        record = required(read_record(self.settings, self._retraining))
        if champion.version == self.facts.first:
            raise MlopsError(
                f"version {champion.version} is still champion: {record.summary}; {record.verdict}",
                f"see the verdict: mlops models --verdict (MLOPS_HOME={self.settings.home})",
            )
        self.facts.second = champion.version
        self._say(f"learned from {', '.join(record.decision.months)}; gate: {record.verdict}")
        deployment = required(Records(self.settings.deployments).newest(lambda one: True))
        for step in deployment.steps:
            self._say(f"  {step.at:%H:%M:%S}  {step.decision}")
        self._say(f"version {champion.version} is champion: {champion.promotion_reason}")
        # The old version may still be answering: followers look every second.
        before = trickle.answered[champion.version]
        self._servers.wait_for(
            f"answers of version {champion.version}",
            lambda: True if trickle.answered[champion.version] > before + 10 else None,
        )

    def _message(self, incident: str, kind: str) -> dict[str, Any] | None:
        return next(iter(self._inbox.of(incident, kind)), None)

    def _look(self, what: str) -> None:
        self._say(f"  look at  {what}")

    @contextmanager
    def _step(self, name: str, title: str) -> Iterator[None]:
        """Announce a step, and remember how long it took."""
        self._say("")
        self._say(title)
        started = time.monotonic()
        yield
        self.facts.seconds[name] = time.monotonic() - started
