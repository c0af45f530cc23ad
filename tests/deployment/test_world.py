"""The real world of deployments, where there is no server, and whom it tells what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mlops.deployment import world
from mlops.deployment.records import DeploymentRecord, RunKey, now
from mlops.deployment.states import Event
from mlops.deployment.world import RealWorld
from mlops.registry.versions import Registry
from mlops.settings import ServingSettings, Settings


def record(*events: Event, kind: Any = "deployment", **evidence: Any) -> DeploymentRecord:
    made = DeploymentRecord(
        id="20240301T083000-v2",
        kind=kind,
        version=2,
        from_version=1,
        asked="2",
        by="ann",
        reason="to see",
        run=RunKey(),
        started_at=now(),
    )
    for event in events:
        made = made.after(event, f"because of {event}", evidence=evidence)
    return made


@pytest.fixture
def alone(running: Any, free_ports: Any) -> Settings:
    """A home with a champion and without a server."""
    port, metrics_port = free_ports(2)
    serving = ServingSettings(port=port, metrics_port=metrics_port)
    settings: Settings = running.settings.model_copy(update={"serving": serving})
    return settings


def with_limits(settings: Settings, **limits: Any) -> Settings:
    changed = settings.deployment.model_copy(update=limits)
    return settings.model_copy(update={"deployment": changed})


def rolled_out(settings: Settings, mode: Any = "canary") -> Any:
    registry = Registry(settings)
    return RealWorld(settings).rollout(registry, record(), 1, mode, lambda: None)


def test_without_a_server_canary_and_smoke_test_say_why_they_are_skipped(alone: Settings) -> None:
    said = rolled_out(alone)
    smoke = RealWorld(alone).smoke(Registry(alone), record(), lambda: None)

    assert said == f"no canary: no online server answers at {alone.serving_url}"
    assert smoke == f"no smoke test: no online server answers at {alone.serving_url}"
    assert Registry(alone).rollout() is None


def test_a_canary_of_no_minutes_is_none(alone: Settings) -> None:
    assert rolled_out(with_limits(alone, canary_minutes=0)) == "no canary: canary_minutes is 0"
    assert rolled_out(alone, "shadow") == "no shadow: shadow_minutes is 0"


def test_a_server_that_is_required_and_missing_refuses(alone: Settings) -> None:
    settings = with_limits(alone, require_server=True)

    assert rolled_out(settings).refused_by == ("server",)
    assert RealWorld(settings).smoke(Registry(settings), record(), lambda: None).refused_by == (
        "server",
    )


def test_a_server_that_was_there_for_the_canary_must_still_be_there(alone: Settings) -> None:
    watched = record("artifact_passed", "canary_passed", "promoted")

    found = RealWorld(alone).smoke(Registry(alone), watched, lambda: None)

    assert not isinstance(found, str)
    assert found.refused_by == ("server",)


@dataclass
class Watched:
    """Stands for the server and for whoever watches it: what it saw, and what happens meanwhile."""

    registry: Registry
    meanwhile: Callable[[], Any] = lambda: None
    metrics: bool = True
    follows: bool = True
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    url: str = "http://server"

    def absence(self) -> str:
        return ""

    def scrape(self) -> object | None:
        return object() if self.metrics else None

    def watch(self, endpoint: Any, limits: Any, trips: Any, still_ours: Any) -> Watched:
        assert endpoint is self and len(trips) == 32
        return self

    def follow(self, rollout: Any) -> Any:
        return None if self.follows else "it does not follow"

    def compare(self, rollout: Any, champion: int, minutes: float) -> str:
        self.seen.append((rollout, self.registry.rollout(), champion, minutes))
        self.meanwhile()
        return "compared"


@pytest.fixture
def watched(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> Watched:
    stage = Watched(Registry(alone))
    monkeypatch.setattr(world, "Endpoint", lambda settings: stage)
    monkeypatch.setattr(world, "CanaryWatch", stage.watch)
    return stage


@pytest.mark.parametrize(
    ("mode", "percent", "minutes", "seconds"), [("canary", 20, 2, 200), ("shadow", 100, 3, 260)]
)
def test_a_rollout_is_in_force_while_it_is_watched_and_little_longer(
    alone: Settings, watched: Watched, mode: str, percent: float, minutes: float, seconds: float
) -> None:
    limits = {"canary_percent": 20, "canary_minutes": 2, "shadow_minutes": 3, "swap_seconds": 10}

    assert rolled_out(with_limits(alone, **limits), mode) == "compared"

    ((rollout, present, champion, watched_for),) = watched.seen
    model_id = watched.registry.require(2).model_id
    assert present == rollout.model_copy(update={"model_id": model_id})
    assert (rollout.version, rollout.mode, rollout.percent) == (2, mode, percent)
    assert (champion, watched_for) == (1, minutes)
    lasts = (rollout.expires_at - rollout.started_at).total_seconds()
    assert lasts == pytest.approx(seconds, abs=5)
    assert watched.registry.rollout() is None


def test_a_rollout_ends_whatever_happens_unless_it_is_anothers(
    alone: Settings, watched: Watched
) -> None:
    def fail() -> None:
        raise RuntimeError("the network is away")

    watched.meanwhile = fail
    with pytest.raises(RuntimeError):
        rolled_out(alone)
    assert watched.registry.rollout() is None

    def take_over() -> None:
        other = watched.seen[-1][0].model_copy(update={"deployment": "another"})
        watched.registry.end_rollout()
        watched.registry.start_rollout(other)

    watched.meanwhile = take_over
    assert rolled_out(alone) == "compared"
    rollout = watched.registry.rollout()
    assert rollout is not None and rollout.deployment == "another"


def test_a_server_that_does_not_follow_is_not_compared(alone: Settings, watched: Watched) -> None:
    watched.follows = False

    assert rolled_out(alone) == "it does not follow"
    assert watched.seen == [] and watched.registry.rollout() is None


def test_without_metrics_there_is_nothing_to_compare(alone: Settings, watched: Watched) -> None:
    watched.metrics = False

    assert "metrics cannot be read" in rolled_out(alone)
    assert rolled_out(with_limits(alone, require_server=True)).refused_by == ("server",)


FOUND_BAD = ("artifact_passed", "canary_skipped", "promoted", "smoke_failed")
PROVED = ("artifact_passed", "canary_skipped", "promoted", "smoke_passed")


@pytest.mark.parametrize(
    ("finished", "told", "arguments"),
    [
        (record(*PROVED, "kept"), "promoted", (2, 1, "to see", "ann")),
        (
            record(*FOUND_BAD, "rolled_back"),
            "rolled_back",
            (2, 1, "because of rolled_back", "deployment"),
        ),
        (
            record("artifact_failed"),
            "refused",
            ("version 2", "because of artifact_failed", "deployment"),
        ),
        (
            record("restored", "smoke_passed", "kept", kind="rollback"),
            "rolled_back",
            (1, 2, "to see (because of kept)", "ann"),
        ),
        (
            record("nothing_to_restore", kind="rollback", stopped=3),
            "rolled_back",
            (3, 2, "to see (because of nothing_to_restore)", "ann"),
        ),
        (record("nothing_to_restore", kind="rollback", stopped=None), "", ()),
        (record("already_champion"), "", ()),
        (record("stopped"), "", ()),
    ],
)
def test_people_are_told_what_changed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, finished: DeploymentRecord, told: str, arguments: Any
) -> None:
    calls = []
    for name in ("promoted", "rolled_back", "refused"):

        def note(settings: Any, *given: Any, name: str = name, deployment: str) -> None:
            calls.append((name, given, deployment))

        monkeypatch.setattr(world.events, name, note)

    RealWorld(Settings()).tell(finished)

    assert calls == ([(told, arguments, finished.id)] if told else [])
