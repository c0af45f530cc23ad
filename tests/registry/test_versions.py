"""The registry: versions keep their evidence, and there is always exactly one champion."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.data.references import TrainingSetManifest
from mlops.errors import (
    ConfigurationError,
    GateRefusalError,
    RegistryError,
    UntrustedArtifactError,
)
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.registry.lookup import champion_trouble
from mlops.registry.receipts import Receipt
from mlops.registry.rollout import Rollout
from mlops.registry.tracking import log_candidate
from mlops.registry.trail import Trail
from mlops.registry.versions import Registry
from mlops.settings import Settings


@pytest.fixture
def registry(registry_of_one_test: Settings) -> Registry:
    return Registry(registry_of_one_test)


@pytest.fixture
def new_run(
    registry_of_one_test: Settings,
    manifest: TrainingSetManifest,
    receipt: Receipt,
    evaluation: Evaluation,
    constant_model: Any,
) -> Callable[[float], str]:
    def make(minutes: float = 7.5) -> str:
        return log_candidate(
            registry_of_one_test,
            manifest=manifest,
            model=constant_model(minutes),
            metrics=evaluation.metrics,
            receipt=receipt,
            stage="refit",
        )

    return make


@pytest.fixture
def add(
    registry: Registry,
    new_run: Callable[[float], str],
    receipt: Receipt,
    evaluation: Evaluation,
    verdict: Callable[[bool], Verdict],
) -> Callable[..., int]:
    """Log and register a model; returns its version."""

    def call(minutes: float = 7.5, passed: bool = True) -> int:
        return registry.register(new_run(minutes), receipt, evaluation, verdict(passed))

    return call


def test_an_empty_registry_has_no_champion(registry: Registry) -> None:
    assert registry.champion() is None
    assert registry.challenger() is None
    assert registry.get(1) is None
    assert registry.versions() == ()


def test_a_version_keeps_its_evidence(
    registry: Registry,
    add: Callable[..., int],
    receipt: Receipt,
    evaluation: Evaluation,
    verdict: Callable[[bool], Verdict],
) -> None:
    version = add()

    found = registry.get(version)

    assert found is not None
    assert found.aliases == ("challenger",)
    assert (found.receipt, found.evaluation, found.verdict) == (receipt, evaluation, verdict(True))
    assert found.promoted_at is None
    assert registry.challenger() == found


def test_registering_a_run_twice_makes_one_version(
    registry: Registry,
    new_run: Callable[[float], str],
    receipt: Receipt,
    evaluation: Evaluation,
    verdict: Callable[[bool], Verdict],
) -> None:
    run = new_run(7.5)

    first = registry.register(run, receipt, evaluation, verdict(True))

    assert registry.register(run, receipt, evaluation, verdict(True)) == first
    assert len(registry.versions()) == 1


def test_promotion_moves_the_champion_and_names_the_previous_one(
    registry: Registry, add: Callable[..., int]
) -> None:
    first, second = add(1.0), add(2.0)

    assert registry.promote(first, "the first", by="test").previous is None
    moved = registry.promote("challenger", "better", by="test")

    assert (moved.version, moved.previous, moved.reason, moved.by) == (
        second,
        first,
        "better",
        "test",
    )
    champion, previous = registry.champion(), registry.get("previous_champion")
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == (second, first)
    assert (champion.promotion_reason, champion.promoted_by) == ("better", "test")
    assert champion.promoted_at == moved.at
    # A champion is nobody's challenger any more
    assert registry.challenger() is None
    # The list tells the same as looking one up
    assert registry.versions() == (champion, previous)


def test_promoting_the_champion_again_changes_nothing(
    registry: Registry, add: Callable[..., int]
) -> None:
    add(1.0)
    registry.promote(1, "the first", by="test")
    add(2.0)
    done = registry.promote(2, "better", by="test")

    again = registry.promote(2, "another reason", by="somebody else")

    assert again == done


def test_a_rollback_is_one_call(registry: Registry, add: Callable[..., int]) -> None:
    add(1.0)
    add(2.0)
    registry.promote(1, "the first", by="test")
    registry.promote(2, "better", by="test")

    registry.promote("previous_champion", "version 2 failed its smoke test", by="test")

    assert registry.load("champion")[0].minutes == 1.0
    assert registry.get("previous_champion").version == 2


def test_a_rollback_restores_any_former_champion_and_a_synthetic_one_only_by_name(
    registry: Registry,
    new_run: Callable[[float], str],
    receipt: Receipt,
    evaluation: Evaluation,
    verdict: Callable[[bool], Verdict],
) -> None:
    for synthetic in (True, False, False):
        of = receipt.model_copy(update={"synthetic": synthetic})
        registry.register(new_run(1.0), of, evaluation, verdict(True))
    registry.promote(2, "the first", by="test")
    registry.promote(3, "better", by="test")
    assert registry.rollback_target(2) == registry.rollback_target() == 2
    assert registry.rollback("not better", by="test", to=2).version == 2

    registry.promote(1, "synthetic", by="test")
    registry.promote(3, "real trips at last", by="test")
    with pytest.raises(ConfigurationError, match="learned from synthetic rows") as refused:
        registry.rollback_target()
    assert "mlops rollback --to 1" in refused.value.hint
    assert registry.rollback_target(1) == 1


@pytest.mark.parametrize(("model_id", "in_force"), [(None, True), ("", True), ("other", False)])
def test_a_rollout_of_another_registrys_version_is_not_in_force(
    registry_of_one_test: Settings,
    registry: Registry,
    add: Callable[..., int],
    model_id: str | None,
    in_force: bool,
) -> None:
    # Given a canary of a version; None stands for the model that was noted when it started
    now = datetime.now(timezone.utc)
    rollout = Rollout(
        **{"deployment": "d", "version": add(3.0), "mode": "canary", "percent": 10, "by": "ann"},
        **{"started_at": now, "expires_at": now + timedelta(hours=1), "reason": "to see"},
    )
    registry.start_rollout(rollout)
    info = registry.require(rollout.version)
    if model_id is not None:
        noted = rollout.model_copy(update={"model_id": model_id})
        Trail(registry_of_one_test).start_rollout(noted)

    found = registry.rollout()
    registry.end_rollout()

    known = info.model_id if model_id is None else model_id
    assert found == (rollout.model_copy(update={"model_id": known}) if in_force else None)


def test_loading_gives_the_model_and_who_it_is(
    registry: Registry, add: Callable[..., int], constant_model: Any
) -> None:
    version = add(3.0)

    model, info = registry.load(version)

    assert model == constant_model(3.0)
    assert info.version == version


def test_a_refused_model_is_kept_but_never_deployed(
    registry: Registry, add: Callable[..., int]
) -> None:
    version = add(passed=False)

    assert registry.get(version).aliases == ()
    with pytest.raises(GateRefusalError, match="refused by latency"):
        registry.promote(version, "anyway", by="test")
    assert registry.champion() is None


@pytest.mark.parametrize("unknown", [99, "99", "nobody"])
def test_an_unknown_version_is_named(registry: Registry, unknown: int | str) -> None:
    assert registry.get(unknown) is None
    with pytest.raises(ConfigurationError, match=str(unknown)):
        registry.load(unknown)
    with pytest.raises(ConfigurationError, match="mlops models"):
        registry.promote(unknown, "reason", by="test")


class Crash(BaseException):
    """Stands for a killed process: no `except Exception` may survive it."""


@pytest.mark.parametrize("survived", range(8))
def test_a_crash_while_promoting_leaves_a_champion_and_can_be_completed(
    registry: Registry,
    add: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    survived: int,
) -> None:
    # Given a champion, and a promotion killed after so many writes
    add(1.0)
    registry.promote(1, "the first", by="test")
    add(2.0)
    client = registry._client
    writes = iter(range(100))

    def mortal(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if next(writes) == survived:
                raise Crash
            return write(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in (
            "set_model_version_tag",
            "set_registered_model_alias",
            "delete_registered_model_alias",
        ):
            patch.setattr(client, name, mortal(getattr(client, name)))
        try:
            registry.promote(2, "better", by="test")
        except Crash:
            pass
        else:
            assert survived >= 7  # four tags, two aliases, one alias taken off

    # Then there is a champion, the old one or the new one, and it can be loaded
    champion = registry.champion()
    assert champion is not None
    assert registry.load("champion")[0].minutes == float(champion.version)

    # And promoting again completes the work
    registry.promote(2, "better", by="test")
    assert registry.champion().version == 2
    assert registry.get("previous_champion").version == 1
    assert registry.challenger() is None


def test_a_version_registered_by_hand_has_no_evidence_but_is_listed(
    registry: Registry, new_run: Callable[[float], str]
) -> None:
    run_id = new_run(5.0)
    client = registry._client
    client.create_registered_model(registry._name)
    (output,) = client.get_run(run_id).outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    client.create_model_version(registry._name, location)

    (found,) = registry.versions()

    assert (found.receipt, found.evaluation, found.verdict) == (None, None, None)
    assert registry.load(1)[0].minutes == 5.0


def test_a_model_that_was_not_logged_here_is_loaded_only_once_accepted(
    registry: Registry, add: Callable[..., int]
) -> None:
    # Given a version whose model this home does not know, e.g. from another home
    version = add(5.0)
    shutil.rmtree(registry._settings.registry)

    with pytest.raises(UntrustedArtifactError, match="not logged from this home"):
        registry.load(version)
    with pytest.raises(UntrustedArtifactError):
        registry.promote(version, "unseen", by="test")

    registry.adopt(version, by="ann")
    registry.promote(version, "ann knows it", by="test")
    assert registry.load("champion")[0].minutes == 5.0


def test_a_model_that_was_changed_afterwards_is_not_loaded(
    registry: Registry, add: Callable[..., int]
) -> None:
    version = add(5.0)
    folder = Path(registry.get(version).source.removeprefix("file://"))
    (folder / "data" / "trip_duration_model").write_text("6.0")

    with pytest.raises(UntrustedArtifactError, match="not the one that was logged"):
        registry.load(version)


def test_an_alias_that_a_stranger_moves_makes_no_champion(
    registry: Registry, add: Callable[..., int]
) -> None:
    first, second = add(1.0), add(2.0)
    client, name = registry._client, registry._name
    # Given nobody promoted anything here
    client.set_registered_model_alias(name, "champion", str(second))
    assert registry.champion() is None
    assert registry.standing()[2].endswith(f"to trust version {second}: mlops deploy {second}")
    assert champion_trouble(registry._settings).in_one_line == registry.standing()[2]
    with pytest.raises(RegistryError, match="not promoted from this home"):
        registry.load("champion")
    # And then a promotion, and a stranger again
    registry.promote(first, "the first", by="test")
    assert registry.standing()[2] == ""
    client.set_registered_model_alias(name, "champion", str(second))
    client.set_registered_model_alias(name, "previous_champion", str(second))
    assert registry.champion_version() == first
    assert registry.previous() is None
    assert [info.aliases for info in registry.versions()] == [("challenger",), ("champion",)]
    assert f"version {first} stays champion" in registry.standing()[2]
    assert champion_trouble(registry._settings).in_one_line == registry.standing()[2]
    # And if this home knows neither model
    shutil.rmtree(registry._settings.registry / "artifacts")
    assert f"mlops adopt {second} && mlops deploy {second}; " in registry.standing()[2]
    registry.adopt(first, by="ann")
    registry.adopt(second, by="ann")
    # Then deploying the champion again corrects the alias
    registry.mend_aliases()
    assert registry.standing()[2] == ""
    assert registry.get(second).aliases == ("challenger",)


def test_another_model_under_the_champions_number_is_not_champion(
    registry: Registry, add: Callable[..., int], new_run: Callable[[float], str]
) -> None:
    # Given a champion that a stranger deletes and registers anew with a model that is known
    version = add(1.0)
    registry.promote(version, "the first", by="test")
    other = registry.get(add(2.0)).source
    client, name = registry._client, registry._name
    for number in (2, 1):
        client.delete_model_version(name, str(number))
    client.delete_registered_model(name)
    client.create_registered_model(name)
    assert client.create_model_version(name, other).version == version
    client.set_registered_model_alias(name, "champion", str(version))

    assert registry.champion() is None
