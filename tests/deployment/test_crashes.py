"""A process that dies between any two writes: there is a champion, it loads, and work goes on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from mlops.deployment.records import Records
from mlops.errors import MlopsError
from mlops.registry.versions import Registry

MOST_WRITES = 40  # more than any deployment makes
FIRST_AFTER_PROMOTION = 15


def assert_sound(office: Any, *allowed: int) -> None:
    registry = Registry(office.settings)
    model, info = registry.load("champion")
    assert info.version in allowed
    assert model.rows > 0
    previous = registry.previous()
    assert previous is None or previous.version != info.version


@pytest.mark.parametrize(
    ("smoke_passes", "points"),
    [(True, (0, 4, *range(9, 17), MOST_WRITES)), (False, (17, 21, 25, MOST_WRITES))],
)
def test_a_deployment_killed_anywhere_goes_on_where_it_was(
    with_champion: Any, makers: Any, tmp_path: Any, smoke_passes: bool, points: tuple[int, ...]
) -> None:
    ends = set()
    for writes in points:
        # Given a champion, and a deployment that dies after so many writes
        office = makers.Office(makers.copy_of(with_champion, tmp_path / str(writes)))
        office.world.smoke_passes = smoke_passes
        ends.add(makers.crashed(partial(office.deploy, 2, run="7"), writes))
        # Then the old or the new champion is there
        assert_sound(office, 1, 2)
        # When its run is resumed it ends as if nothing had happened
        if smoke_passes:
            assert office.deploy(2, run="7").state == "kept"
        else:
            with pytest.raises(MlopsError, match="version 1 is champion again"):
                office.deploy(2, run="7")
        assert_sound(office, 2 if smoke_passes else 1)
        assert Registry(office.settings).rollout() is None
        assert office.ledger().claims.holder() is None
    assert ends == {True, False}  # it was killed everywhere, and at last not


@pytest.mark.parametrize("writes", (1, 4, 7, 12, 16))
def test_a_deployment_killed_anywhere_stands_in_nobodys_way(
    running: Any, makers: Any, writes: int
) -> None:
    makers.crashed(partial(running.deploy, 2), writes)

    record = running.deploy(3)

    assert record.state == "kept"
    assert_sound(running, 3)
    assert Registry(running.settings).rollout() is None
    assert all(other.is_over for other in Records(running.settings.deployments).all())


def test_a_promotion_that_was_never_proved_is_proved_by_deploying_it_again(
    running: Any, makers: Any
) -> None:
    assert makers.crashed(partial(running.deploy, 2), FIRST_AFTER_PROMOTION)
    assert running.champion == 2
    running.world.smoke_passes = False

    with pytest.raises(MlopsError, match="version 1 is champion again"):
        running.deploy(2)

    assert_sound(running, 1)


@pytest.mark.parametrize("writes", (2, 5, 9, 14, 16))
def test_a_rollback_wins_over_a_deployment_killed_anywhere(
    running: Any, makers: Any, writes: int
) -> None:
    Registry(running.settings).promote(3, "the second", "test")
    makers.crashed(partial(running.deploy, 2), writes)
    before = running.champion

    record = running.roll_back()

    assert record.state in ("kept", "unchanged")
    # an unfinished canary is undone by stopping it; a champion by the one before it
    assert running.champion == (3 if before == 2 or record.state == "unchanged" else 1)
    assert Registry(running.settings).rollout() is None
    assert running.ledger().claims.holder() is None


@pytest.mark.parametrize("writes", (1, 4, 9, 11, 12))
def test_a_rollback_killed_anywhere_is_completed_by_the_next(
    running: Any, makers: Any, writes: int
) -> None:
    Registry(running.settings).promote(2, "the second", "test")
    died = makers.crashed(running.roll_back, writes)
    assert_sound(running, 1, 2)

    try:
        running.roll_back()
    except MlopsError as error:
        # the first had done all but let go, or all of it
        assert "itself restored" in str(error)
        assert running.record().state == "kept" or not died

    assert_sound(running, 1)
