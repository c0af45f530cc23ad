"""The real world of deployments, where there is no server, and whom it tells what."""

from __future__ import annotations

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
