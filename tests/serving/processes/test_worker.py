"""A worker without a process: what it follows, what it tries again and when, and what it counts."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.errors import MlopsError
from mlops.registry.rollout import Rollout
from mlops.serving.answers.metrics import ServingMetrics
from mlops.serving.answers.routing import Lineup
from mlops.serving.answers.state import Served, ServingState, state_file, write_state
from mlops.serving.http.access import RateLimiter
from mlops.serving.http.complaints import Complaints
from mlops.serving.processes import worker
from mlops.serving.processes.worker import Follower, _Upkeep
from mlops.settings import Settings

NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)


@dataclass
class FakeApplication:
    """Holds what it is given."""

    lineup: Lineup | None = None
    reason: str = ""
    swaps: int = 0
    refused: str = ""  # why no model answers the requests of the dataset

    @property
    def form(self) -> FakeApplication:
        return self

    def require(self, model: Any) -> None:
        if self.refused:
            raise MlopsError(self.refused)

    def swap(self, lineup: Lineup) -> None:
        self.lineup = lineup
        self.swaps += 1


def new_metrics() -> ServingMetrics:
    return ServingMetrics(TaxiTrips.answer_bounds)


@dataclass
class Place:
    """A follower, its application, and bundles that may be broken."""

    settings: Settings
    application: FakeApplication = field(default_factory=FakeApplication)
    metrics: ServingMetrics = field(default_factory=new_metrics)
    broken: set[str] = field(default_factory=set)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.follower = Follower(self.application, self.settings, self.metrics)  # type: ignore[arg-type]

    def load(self, folder: Path) -> Any:
        assert folder.parent == self.settings.served / "bundles"
        self.loaded.append(folder.name)
        if folder.name in self.broken:
            raise MlopsError(f"{folder.name} is broken")
        return SimpleNamespace(head={"synthetic": False})

    def wish(self, **state: Any) -> None:
        """Write a state that differs from the last one."""
        state_file(self.settings.served).unlink(missing_ok=True)
        write_state(self.settings.served, ServingState(updated_at=NOW, **state))

    def follow(self, times: int = 1) -> list[str]:
        """Poll so many times; return which bundles were loaded."""
        before = len(self.loaded)
        for _ in range(times):
            asyncio.run(self.follower.follow())
        return self.loaded[before:]

    def failures(self) -> dict[str, float]:
        return {
            sample.labels["role"]: sample.value
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == "mlops_serving_errors_total" and sample.labels["error"] == "load"
        }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(Settings(home=tmp_path))
    monkeypatch.setattr(worker, "CompiledModel", SimpleNamespace(load=place.load))
    monkeypatch.setattr(
        "mlops.serving.answers.routing.learned_from_synthetic", lambda head: head["synthetic"]
    )
    return place


def served(version: int, bundle: str = "") -> Served:
    return Served(version=version, bundle=bundle or f"v{version}", since=NOW)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (None, "the registry has not been read yet"),
        ({"problem": ""}, "no version is champion yet"),
        ({"problem": "MLflow is away"}, "MLflow is away"),
    ],
)
def test_without_a_champion_it_says_why_and_serves_nothing(
    place: Place, state: dict[str, Any] | None, reason: str
) -> None:
    if state is not None:
        place.wish(**state)

    if state is None:
        assert place.follow() == [], "no file is nothing new"
    place.follower._seen = object()  # nothing was looked at before
    assert place.follow() == []

    assert (place.application.lineup, place.application.reason) == (None, reason)


def test_a_state_is_taken_over_once(place: Place) -> None:
    place.wish(champion=served(1))
    assert place.follow(3) == ["v1"]
    assert place.application.swaps == 1

    place.wish(champion=served(2))
    assert place.follow(3) == ["v2"]
    lineup = place.application.lineup
    assert lineup is not None
    assert (lineup.champion.number, lineup.champion.bundle) == (2, "v2")
    assert (lineup.champion.since, lineup.rollout, lineup.beside) == (NOW, None, None)


def test_a_model_of_other_requests_is_not_served(place: Place) -> None:
    place.wish(champion=served(1))
    place.follow()
    place.application.refused = "version 2 was trained with another definition"

    place.wish(champion=served(2))
    place.follow()

    assert place.application.lineup is not None
    assert place.application.lineup.champion.number == 1
    assert place.failures() == {"champion": 1}


def test_what_cannot_be_loaded_is_counted_and_tried_again_after_a_while(place: Place) -> None:
    place.broken.add("v1")
    place.wish(champion=served(1))

    assert place.follow() == ["v1"]
    assert place.application.reason == "the champion cannot be loaded: v1 is broken"
    assert place.failures() == {"champion": 1}
    assert place.follow(24) == []
    place.broken.clear()
    assert place.follow() == ["v1"]
    assert place.application.swaps == 1
    assert place.follow(60) == []


def test_a_champion_that_cannot_be_loaded_leaves_the_one_in_memory(place: Place) -> None:
    place.wish(champion=served(1))
    place.follow()
    place.broken.add("v2")
    place.wish(champion=served(2))
    place.follow()
    assert place.application.lineup is not None
    assert place.application.lineup.champion.number == 1
    assert place.application.reason == ""

    # a new wish is not kept waiting by the old one's failure
    place.wish(champion=served(3))
    assert place.follow() == ["v3"]


def test_a_rollout_that_cannot_be_loaded_harms_nobody_and_is_tried_again(
    place: Place, make_rollout: Callable[..., Rollout]
) -> None:
    place.broken.add("v2")
    place.wish(champion=served(1), rollout=make_rollout(), beside=served(2))

    assert place.follow() == ["v1", "v2"]
    lineup = place.application.lineup
    assert lineup is not None and (lineup.rollout, lineup.beside) == (None, None)
    assert place.failures() == {"canary": 1}
    assert place.follow(24) == []
    place.broken.clear()
    assert place.follow() == ["v2"], "the champion is in memory"
    lineup = place.application.lineup
    assert lineup is not None and lineup.beside is not None and lineup.rollout is not None
    assert lineup.beside.number == lineup.rollout.version == 2


@pytest.mark.parametrize(("mode", "loaded"), [("canary", []), ("shadow", ["v2"])])
def test_a_canary_becomes_champion_as_it_is_and_a_shadow_is_read_anew(
    place: Place, make_rollout: Callable[..., Rollout], mode: str, loaded: list[str]
) -> None:
    place.wish(champion=served(1), rollout=make_rollout(mode=mode), beside=served(2))
    place.follow()
    before = place.application.lineup
    assert before is not None and before.beside is not None

    place.wish(champion=served(2))
    assert place.follow() == loaded

    after = place.application.lineup
    assert after is not None
    assert (after.champion.model is before.beside.model) == (mode == "canary")


def test_the_champion_is_read_anew_to_be_a_shadow(
    place: Place, make_rollout: Callable[..., Rollout]
) -> None:
    place.wish(champion=served(1))
    place.follow()
    place.wish(champion=served(2), rollout=make_rollout(1, "shadow"), beside=served(1))
    assert place.follow() == ["v2", "v1"]


@dataclass
class FakeParts:
    """What a worker looks after, and what of it failed."""

    damaged: bool = False
    broken: bool = False
    reloads: int = 0
    reports: int = 0
    stopped: int = 0
    followed: int = 0
    dropped: int = 0

    async def follow(self) -> None:
        self.followed += 1
        if self.broken:
            raise RuntimeError("whatever it is")

    def reload(self) -> None:
        self.reloads += 1
        if self.damaged:
            raise MlopsError("keys.json is damaged")

    def report(self, *, at_once: bool = False) -> None:
        self.reports += 1

    def stop(self) -> None:
        self.stopped += 1


def upkeep_of(parts: FakeParts, metrics: ServingMetrics) -> _Upkeep:
    it: Any = parts
    return _Upkeep(it, it, it, metrics, it, it)


def value_of(metrics: ServingMetrics, name: str) -> float:
    return next(
        sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name
    )


def test_a_round_does_all_there_is_to_do_even_with_damaged_keys() -> None:
    parts, metrics = FakeParts(damaged=True, dropped=3), new_metrics()
    upkeep = upkeep_of(parts, metrics)

    asyncio.run(upkeep.round())
    parts.dropped = 5
    asyncio.run(upkeep.round())
    asyncio.run(upkeep.round())

    assert (parts.followed, parts.reloads, parts.reports, parts.stopped) == (3, 3, 3, 0)
    assert value_of(metrics, "mlops_serving_log_dropped_total") == 5
    assert value_of(metrics, "mlops_serving_cpu_seconds_total") > 0


def test_a_worker_ends_with_its_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = FakeParts()
    upkeep = upkeep_of(parts, new_metrics())
    monkeypatch.setattr(worker.os, "getppid", lambda: 1)

    asyncio.run(upkeep.round())

    assert parts.stopped == 1


def test_upkeep_goes_on_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_POLL_SECONDS", 0.001)
    parts = FakeParts(broken=True)

    async def some_rounds() -> None:
        task = asyncio.create_task(upkeep_of(parts, new_metrics()).go_on())
        while parts.followed < 3:
            assert not task.done()
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(some_rounds())


def test_the_web_server_hides_itself_and_believes_no_proxy() -> None:
    config = worker._config(lambda: None)

    assert (config.access_log, config.server_header, config.proxy_headers) == (False,) * 3
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown) == (75, 20)
    assert (config.backlog, config.lifespan, config.ws) == (2_048, "off", "none")


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Let a worker run in this process; return how it set its interpreter up."""
    done: list[Any] = []
    collector = SimpleNamespace(
        collect=lambda: done.append("collect"),
        freeze=lambda: done.append("freeze"),
        set_threshold=done.append,
    )
    monkeypatch.setattr(worker, "gc", collector)
    monkeypatch.setattr(worker, "sys", SimpleNamespace(setswitchinterval=done.append))
    former, log = signal.getsignal(signal.SIGTERM), logging.getLogger("uvicorn.error")
    yield done
    signal.signal(signal.SIGTERM, former)
    for complaints in [it for it in log.filters if isinstance(it, Complaints)]:
        log.removeFilter(complaints)
    asyncio.set_event_loop(None)


def test_a_worker_answers_from_its_first_request_on_and_ends_in_order(
    tmp_path: Path,
    own_process: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given a state without a champion, and one who asks as soon as somebody listens
    settings = Settings(home=tmp_path)
    write_state(settings.served, ServingState(updated_at=NOW, problem="MLflow is away"))
    metrics, answers, names = new_metrics(), [], []
    monkeypatch.setattr(worker, "ServingMetrics", lambda bounds: metrics)
    log = worker.PredictionLog
    monkeypatch.setattr(
        worker, "PredictionLog", lambda s, name, *form: names.append(name) or log(s, name, *form)
    )
    monkeypatch.setattr(worker, "_POLL_SECONDS", 3_600)
    listener = socket.create_server(("127.0.0.1", 0))
    others = set(threading.enumerate())  # what other tests have left

    def ask() -> None:
        try:
            connection = http.client.HTTPConnection(*listener.getsockname(), timeout=60)
            connection.request("GET", "/readyz")
            answers.append(connection.getresponse().read())
            connection.close()
            for _ in range(3):
                logging.getLogger("uvicorn.error").warning("a bad request")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    with caplog.at_level(logging.INFO):
        worker.run_worker(settings, listener, RateLimiter(1, 1), 3)
    asking.join()

    assert b"MLflow is away" in answers[0], "the state was looked at before the first request"
    # and all that was noted is counted and said in the end
    requests = {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "mlops_serving_requests_total"
    }
    assert requests == {("/readyz", "503"): 1}
    assert any("a bad request: 2 more times" in r.getMessage() for r in caplog.records)
    assert names == [f"3-{os.getpid()}"]
    left = {it.name for it in set(threading.enumerate()) - others}
    assert not [name for name in left if name.startswith(("prediction-log", "lists", "shadow"))]
    # the interpreter is set up for many answers that wait for the log
    assert own_process == [0.0005, "collect", "freeze", 100_000]
