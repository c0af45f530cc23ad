"""The trail of champions: every change in its order, and only what the home wrote itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import DamagedFileError
from mlops.registry.rollout import Rollout
from mlops.registry.trail import Promotion, Trail, rollback_target
from mlops.settings import Settings

START = datetime(2024, 3, 1, tzinfo=timezone.utc)


def move(version: int, previous: int | None, minute: int, kind: Any = "promotion") -> Promotion:
    at = START + timedelta(minutes=minute)
    return Promotion(
        version=version,
        source=f"file:///models/{version}",
        previous=previous,
        at=at,
        reason="because",
        by="ann",
        kind=kind,
    )


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(Settings(home=tmp_path))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(-3, 3)), max_size=8))
def test_changes_keep_their_order_whatever_the_clock_says(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    trail = Trail(Settings(home=tmp_path_factory.mktemp("home")))
    minute, previous = 0, None
    for version, step in changes:
        minute += step
        trail.append(move(version, previous, minute))
        previous = version

    found = trail.all()

    assert [change.version for change in found] == [version for version, _ in reversed(changes)]
    assert trail.newest() == (found[0] if found else None)
    assert [c.at for c in found] == sorted({c.at for c in found}, reverse=True)


def test_each_model_has_a_trail_of_its_own(tmp_path: Path) -> None:
    names = ("taxi", "../taxi", "taxi/2", ".")
    homes = [Settings(home=tmp_path, tracking={"model_name": name}) for name in names]
    for number, settings in enumerate(homes):
        Trail(settings).append(move(number, None, 0))
    assert [Trail(settings).newest().version for settings in homes] == [0, 1, 2, 3]  # type: ignore[union-attr]
    assert {path.name for path in tmp_path.iterdir()} == {"registry"}


def test_what_happened_in_one_registry_is_no_change_in_another(tmp_path: Path) -> None:
    # Given a home that is used with two registries, each of which numbers its versions from 1
    first, second = (
        Trail(Settings(home=tmp_path, tracking={"uri": f"sqlite:////{name}.db"}))
        for name in ("first", "second")
    )
    first.append(move(1, None, 0))
    first.append(move(2, 1, 1))
    second.append(move(1, None, 2).model_copy(update={"source": "file:///others/1"}))
    in_first, in_second = {1: "file:///models/1", 2: "file:///models/2"}, {1: "file:///others/1"}

    # Then each has its own champion and its own history
    assert [change.version for change in first.here(in_first.get)] == [2, 1]
    assert [change.version for change in second.here(in_second.get)] == [1]
    for trail, sources, champion in ((first, in_first, 2), (second, in_second, 1)):
        last = trail.in_force(sources.get)
        assert last is not None and last.version == champion
    # and so has the first at another address
    moved = Trail(Settings(home=tmp_path, tracking={"uri": "http://127.0.0.1:5000"}))
    assert [change.version for change in moved.here(in_first.get)] == [2, 1]
    # but where the champion itself is gone, the one before it does not serve instead
    assert first.in_force({1: "file:///models/1"}.get) is None


def test_a_damaged_record_is_named_and_never_passed_over(trail: Trail, tmp_path: Path) -> None:
    # Given a champion whose record is damaged: the one before it must not serve instead
    trail.append(move(1, None, 0))
    trail.append(move(2, 1, 1))
    newest = sorted(tmp_path.rglob("champions/*.json"))[-1]
    newest.write_text(newest.read_text()[:20])
    for look in (trail.newest, trail.all):
        with pytest.raises(DamagedFileError, match=newest.name):
            look()


def test_a_rollout_is_in_force_until_it_ends_or_expires(trail: Trail) -> None:
    now = datetime.now(timezone.utc)
    rollout = Rollout(
        deployment="d",
        version=2,
        mode="canary",
        percent=10,
        started_at=now,
        expires_at=now + timedelta(hours=1),
        by="ann",
        reason="",
    )
    before = trail.stamp()
    trail.start_rollout(rollout)
    assert trail.rollout() == rollout
    assert trail.stamp() != before
    trail.end_rollout()
    trail.end_rollout()
    assert trail.rollout() is None
    trail.start_rollout(rollout.model_copy(update={"expires_at": now}))
    assert trail.rollout() is None


def test_a_rollback_undoes_a_promotion_but_no_rollback() -> None:
    first, second = move(1, None, 0), move(2, 1, 1)
    back = move(1, 2, 2, "rollback")

    assert rollback_target(()) is None
    assert rollback_target((first,)) is None
    assert rollback_target((second, first)) == 1
    assert rollback_target((back, second, first)) is None
