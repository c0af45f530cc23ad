"""Whatever the registry does, what served goes on; what is new serves only once it is proved."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.errors import DamagedFileError, MlopsError, RegistryError
from mlops.registry.rollout import Rollout
from mlops.registry.versions import VersionInfo
from mlops.serving.answers.state import read_state, state_file
from mlops.serving.processes import follower
from mlops.serving.processes.follower import KEPT_BUNDLES, RegistryFollower, bundles_folder
from mlops.settings import Settings


@dataclass
class FakeRegistry:
    """A registry whose wishes are set by the test."""

    champion: int | None = None
    rollout: Rollout | None = None
    missing: set[int] = field(default_factory=set)
    error: Exception | None = None
    stray: str = ""

    def standing(self) -> tuple[int | None, Rollout | None, str]:
        if self.error:
            raise self.error
        return self.champion, self.rollout, self.stray

    def get(self, version: int | str) -> VersionInfo | None:
        return None if version in self.missing else info_of(int(version))


def info_of(version: int, source: str = "") -> VersionInfo:
    now = datetime(2024, 3, 1, tzinfo=timezone.utc)
    return VersionInfo(
        version=version,
        aliases=(),
        run_id=f"run-{version}",
        source=source or f"/models/{version}",
        created_at=now,
        promoted_at=now,
        promotion_reason="",
        promoted_by="",
        receipt=None,
        evaluation=None,
        verdict=None,
    )


@dataclass
class World:
    """A follower, its registry, its clock, and which versions cannot be compiled."""

    settings: Settings
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    broken: dict[int, Exception] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    opened: int = 0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.follower = RegistryFollower(
            self.settings, self._open, self._make, self._prove, clock=lambda: self.now
        )

    def _open(self, settings: Settings) -> FakeRegistry:
        self.opened += 1
        return self.registry

    def _prove(self, folder: Path) -> None:
        if not folder.is_dir() or any(path.read_bytes() == b"" for path in folder.iterdir()):
            raise MlopsError(f"{folder}: this bundle cannot be served")

    def _make(self, settings: Settings, info: VersionInfo, target: Path) -> None:
        self.made.append(info.version)
        if info.version in self.broken:
            raise self.broken[info.version]
        target.mkdir(parents=True, exist_ok=True)
        (target / "bundle.json").write_text("{}")

    def step(self) -> Any:
        state = self.follower.step()
        assert read_state(self.settings.served) == state
        return state


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings(home=tmp_path))


def test_the_champion_is_followed(world: World) -> None:
    assert world.step().champion is None
    for version in (1, 2, 1):
        world.registry.champion = version
        state = world.step()
        assert state.champion.version == version
        assert state.problem == ""
        assert (bundles_folder(world.settings) / state.champion.bundle).is_dir()


def test_an_alias_that_a_stranger_moved_is_a_problem_and_changes_nothing(world: World) -> None:
    world.registry.champion = 1
    world.step()
    world.registry.stray = "the alias names version 9, which nobody promoted"
    state = world.step()
    assert (state.champion.version, state.problem) == (1, world.registry.stray)
    world.registry.stray = ""
    assert world.step().problem == ""


def test_nothing_new_writes_nothing(world: World) -> None:
    world.registry.champion = 1
    world.step()
    written = state_file(world.settings.served).stat().st_mtime_ns
    for _ in range(3):
        world.step()
    assert state_file(world.settings.served).stat().st_mtime_ns == written
    assert world.made == [1]


@pytest.mark.parametrize("error", [RegistryError("MLflow is away"), RuntimeError("a bug")])
def test_without_the_registry_what_served_goes_on(world: World, error: Exception) -> None:
    world.registry.champion = 1
    world.step()
    world.registry.error = error
    state = world.step()
    assert state.champion.version == 1
    assert str(error).splitlines()[0] in state.problem

    world.registry.error, world.registry.champion = None, 2
    state = world.step()
    assert (state.champion.version, state.problem) == (2, "")
    assert world.opened == 2


def test_a_registry_that_never_was_there_is_awaited(world: World) -> None:
    world.registry.error = RegistryError("MLflow is away")
    assert "away" in world.step().problem
    world.registry.error, world.registry.champion = None, 1
    assert world.step().champion.version == 1


def test_a_broken_artifact_replaces_nothing_and_is_tried_again_later(world: World) -> None:
    world.registry.champion = 1
    world.step()
    world.registry.champion, world.broken[2] = 2, MlopsError("is not a complete model")
    for _ in range(5):
        state = world.step()
        assert state.champion.version == 1
        assert "version 2 cannot be served: is not a complete model" in state.problem
    assert world.made == [1, 2]

    del world.broken[2]
    world.step()
    assert world.made == [1, 2]
    world.now += 6
    state = world.step()
    assert (state.champion.version, state.problem) == (2, "")


def test_the_wait_before_a_broken_artifact_is_tried_again_doubles_up_to_its_longest(
    world: World,
) -> None:
    world.registry.champion, world.broken[2] = 2, MlopsError("is not a complete model")

    tries = []
    for world.now in range(0, 1_300, 5):
        before = len(world.made)
        world.step()
        if len(world.made) > before:
            tries.append(world.now)

    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_wish_taken_back_is_no_problem_any_more(world: World) -> None:
    world.registry.champion = 1
    world.step()
    world.registry.champion, world.broken[2] = 2, OSError("the disk is full")
    assert "disk is full" in world.step().problem
    world.registry.champion = 1
    assert world.step().problem == ""


def test_a_champion_that_is_not_named_any_more_stays(world: World) -> None:
    world.registry.champion = 1
    world.step()
    world.registry.champion = None
    state = world.step()
    assert state.champion.version == 1
    assert "no longer names a champion" in state.problem


def test_a_version_that_does_not_exist_is_said(world: World) -> None:
    world.registry.champion, world.registry.missing = 7, {7}
    state = world.step()
    assert state.champion is None
    assert "no version 7" in state.problem


def test_a_rollout_comes_and_goes(world: World, make_rollout: Callable[..., Rollout]) -> None:
    world.registry.champion = 1
    world.registry.rollout = make_rollout(version=2)
    state = world.step()
    assert (state.champion.version, state.beside.version) == (1, 2)
    assert state.beside.since == world.registry.rollout.started_at

    world.registry.rollout = make_rollout(version=3, mode="shadow")
    assert world.step().beside.version == 3

    world.registry.rollout = None
    state = world.step()
    assert (state.rollout, state.beside) == (None, None)


def test_a_broken_rollout_leaves_the_champion_alone(
    world: World, make_rollout: Callable[..., Rollout]
) -> None:
    world.broken[2] = MlopsError("broken")
    world.registry.champion, world.registry.rollout = 1, make_rollout(version=2)
    state = world.step()
    assert state.champion.version == 1
    assert state.beside is None
    assert "version 2" in state.problem


def test_a_bundle_that_vanished_is_made_again(world: World) -> None:
    world.registry.champion = 1
    bundle = bundles_folder(world.settings) / world.step().champion.bundle
    shutil.rmtree(bundle)
    world.step()
    assert bundle.is_dir()


def test_old_bundles_are_removed_but_the_last_few(world: World) -> None:
    for version in range(1, 8):
        world.registry.champion = version
        world.step()
        folder = bundles_folder(world.settings)
        newest = max(folder.iterdir(), key=lambda path: int(path.name[1:].split("-")[0]))
        os.utime(newest, (version, version))
    left = {int(path.name[1:].split("-")[0]) for path in folder.iterdir()}
    assert left == {7, *range(6, 6 - KEPT_BUNDLES, -1)}


def test_a_damaged_state_is_written_anew(world: World) -> None:
    world.registry.champion = 1
    world.step()
    state_file(world.settings.served).write_text("{")
    assert world.step().champion.version == 1


def test_a_full_disk_leaves_the_old_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.registry.champion = 1
    before = world.step()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    world.registry.champion = 2
    with monkeypatch.context() as patch:
        patch.setattr(follower, "write_state", full)
        with pytest.raises(OSError, match="No space"):
            world.follower.step()
    assert read_state(world.settings.served) == before
    assert world.step().champion.version == 2


def test_a_damaged_bundle_is_compiled_again_and_meanwhile_is_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a champion that serves
    world.registry.champion = 1
    state = world.step()
    head = bundles_folder(world.settings) / state.champion.bundle / "bundle.json"
    seen: list[str] = []
    make = world._make

    def make_and_look(*arguments: Any) -> None:
        found = read_state(world.settings.served)
        seen.append(found.problem if found else "")
        make(*arguments)

    world.follower.make_bundle = make_and_look

    # When a file of its bundle is emptied
    head.write_bytes(b"")
    after = world.step()

    # Then it was compiled again, and who looked meanwhile was told
    assert world.made == [1, 1]
    assert "compiled again" in seen[0]
    assert after.champion == state.champion and after.problem == ""
    assert world.step() == after and world.made == [1, 1]


def test_a_damaged_bundle_that_cannot_be_compiled_again_stays_a_problem(world: World) -> None:
    world.registry.champion = 1
    state = world.step()
    (bundles_folder(world.settings) / state.champion.bundle / "bundle.json").write_bytes(b"")
    world.broken[1] = MlopsError("the artifact is gone")

    for _ in range(3):
        assert "the artifact is gone" in world.step().problem
    assert world.made == [1, 1]  # not at every look
    # When it is there again, then it is compiled
    world.broken.clear()
    world.now += 10
    assert world.step().problem == ""
    assert world.made == [1, 1, 1]


def test_a_sound_bundle_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.registry.champion = 1
    world.step()
    proved: list[Path] = []
    world.follower.prove = proved.append
    for _ in range(3):
        world.step()
    assert len(proved) == 1


def test_a_rollout_that_begins_anew_keeps_its_version_and_another_does_not(
    world: World, make_rollout: Callable[..., Rollout]
) -> None:
    world.registry.champion, world.registry.rollout = 1, make_rollout(2)
    first = world.step().beside
    world.registry.rollout = make_rollout(2)
    assert world.step().beside == first and world.made == [1, 2]

    world.broken[3] = MlopsError("is not a whole model")
    world.registry.rollout = make_rollout(3)
    assert world.step().beside is None, "what stood beside it was another version"


@pytest.mark.parametrize(
    ("error", "logged"), [(RegistryError("MLflow is away"), False), (RuntimeError("a bug"), True)]
)
def test_only_a_bug_is_logged_with_its_traceback(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception, logged: bool
) -> None:
    world.registry.error = error
    world.step()

    assert any(record.exc_info for record in caplog.records) == logged


def test_a_champion_is_announced_when_it_changes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.registry.champion = 1
    world.step()
    world.registry.stray = "the alias was moved"
    world.step()
    world.registry.champion = 2
    world.step()

    said = [
        record.getMessage() for record in caplog.records if "champion is" in record.getMessage()
    ]
    assert said == ["champion is version 1", "champion is version 2"]
    assert [r.getMessage() for r in caplog.records].count("the alias was moved") == 1


def test_of_several_servers_one_follows(tmp_path: Path) -> None:
    served = tmp_path / "deep" / "serving"
    first, second = follower._claim(served), follower._claim(served)

    assert first() and first()
    assert not second()


def test_a_champion_and_a_rollout_that_cannot_be_served_are_both_named(
    world: World, make_rollout: Callable[..., Rollout]
) -> None:
    world.broken = {2: MlopsError("two is broken"), 3: MlopsError("three is broken")}
    world.registry.champion, world.registry.rollout = 2, make_rollout(version=3)
    world.registry.stray = "the alias was moved"

    problem = world.step().problem

    assert problem.startswith("the alias was moved; ")
    assert "two is broken; " in problem and problem.endswith("three is broken")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time of `run_follower`: it moves when it sleeps, and ends after three hours."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    times = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(follower, "time", times)
    monkeypatch.setattr(follower.os, "getppid", lambda: 7 if now[0] <= 11_100 else 1)
    return now


def test_the_follower_looks_until_its_supervisor_ends_and_tidies_up_every_hour(
    tmp_path: Path,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks: list[float] = []
    tidied: list[float] = []

    def step(self: RegistryFollower) -> None:
        looks.append(clock[0])
        if clock[0] == 100:
            raise OSError("the disk is full")

    def compact_log(settings: Settings) -> None:
        tidied.append(clock[0])
        if clock[0] < 7_000:
            raise DamagedFileError("part.parquet: the file is damaged", "restore it")
        raise RuntimeError("a bug")

    imported: list[float] = []
    load = "mlops.registry.connection.load_mlflow"
    monkeypatch.setattr(load, lambda: imported.append(clock[0]))
    monkeypatch.setattr(RegistryFollower, "step", step)
    monkeypatch.setattr("mlops.serving.log.reading.compact_log", compact_log)
    settings = Settings(home=tmp_path)
    every = settings.serving.model_copy(update={"poll_seconds": 100})

    follower.run_follower(settings.model_copy(update={"serving": every}))

    assert imported == [0], "once, before the children are forked"
    assert logging.getLogger("alembic").level == logging.WARNING
    assert looks == [float(at) for at in range(0, 11_101, 100)]
    assert tidied == [3_700, 7_400, 11_100]
    said = [(record.getMessage(), bool(record.exc_info)) for record in caplog.records]
    assert said == [
        ("the state cannot be written; what is served stays", True),
        (
            "the prediction log cannot be compacted: part.parquet: the file is damaged; restore it",
            False,
        ),
        ("the prediction log cannot be compacted", True),
        ("the prediction log cannot be compacted", True),
    ]
    # and a second one, while the lock of the first is held, only waits
    clock[0] = 11_000.0
    looks.clear()
    follower.run_follower(settings)
    assert looks == []
