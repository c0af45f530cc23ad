"""A version's profile is stored with its run, and downloaded once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from mlops.errors import ConfigurationError, RegistryError
from mlops.monitoring.measures import building
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.registry import profiles
from mlops.registry.profiles import load_profile, store_profile
from mlops.registry.receipts import Receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import Settings


@pytest.fixture
def registered(
    registry_of_one_test: Settings,
    constant_model: Any,
    manifest: Any,
    receipt: Receipt,
    evaluation: Any,
    verdict: Callable[[bool], Any],
) -> tuple[Settings, str]:
    """Return a registry with one version, and the version's run."""
    settings = registry_of_one_test
    run_id = log_candidate(
        settings,
        manifest=manifest,
        model=constant_model(7.5),
        metrics=evaluation.metrics,
        receipt=receipt,
        stage="refit",
    )
    Registry(settings).register(run_id, receipt, evaluation, verdict(True))
    return settings, run_id


@pytest.fixture
def profile() -> ReferenceProfile:
    return ReferenceProfile(
        version="1",
        created_at=datetime(2024, 3, 1, tzinfo=timezone.utc),
        start=datetime(2024, 1, 1),
        end=datetime(2024, 3, 1),
        tested_from=datetime(2024, 2, 1),
        rows=9,
        shortest=1.0,
        longest=60.0,
        features=(),
        shares=(),
        errors=(),
    )


def test_a_stored_profile_is_found_by_number_and_alias(
    registered: tuple[Settings, str], profile: ReferenceProfile
) -> None:
    settings, run_id = registered

    store_profile(settings, run_id, profile)

    assert load_profile(settings, 1) == load_profile(settings, "challenger") == profile


def test_it_is_downloaded_once(
    registered: tuple[Settings, str], profile: ReferenceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a profile that was stored from another machine
    settings, run_id = registered
    store_profile(settings, run_id, profile)
    (settings.monitored / "profiles" / f"{run_id}.json").unlink()

    # when it is loaded twice, the second time without its artifact
    first = load_profile(settings, 1)
    monkeypatch.setattr(profiles, "find_logged", lambda *_: pytest.fail("asked again"))

    assert load_profile(settings, 1) == first == profile


def test_a_damaged_copy_is_replaced(
    registered: tuple[Settings, str], profile: ReferenceProfile
) -> None:
    settings, run_id = registered
    store_profile(settings, run_id, profile)
    copy = settings.monitored / "profiles" / f"{run_id}.json"
    copy.write_text('{"format": 99}')

    assert load_profile(settings, 1) == profile
    assert ReferenceProfile.load(copy) == profile


def test_a_version_registered_without_is_profiled_when_asked_for(
    registered: tuple[Settings, str], profile: ReferenceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = registered
    asked: list[int | str] = []

    def build(_: Settings, version: int | str) -> ReferenceProfile:
        asked.append(version)
        return profile

    monkeypatch.setattr(building, "build_for", build)

    assert load_profile(settings, "challenger") == load_profile(settings, 1) == profile
    assert asked == [1]


def test_a_version_without_profile_and_training_set_says_what_to_do(
    registered: tuple[Settings, str],
) -> None:
    settings, _ = registered

    with pytest.raises(RegistryError, match="training set of version 1") as caught:
        load_profile(settings, 1)

    assert "mlops" in caught.value.hint


def test_an_unknown_version_is_named(registered: tuple[Settings, str]) -> None:
    settings, _ = registered

    with pytest.raises(ConfigurationError, match="no version 99"):
        load_profile(settings, 99)
