"""What one refresh finds: each part read once, and again only when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.monitoring.findings.records import WindowRecord, write_window
from mlops.observability import world as module
from mlops.observability.memory import Memory, WorldPart, stamp_of
from mlops.observability.parts import PARTS
from mlops.observability.world import BLOCK_COLUMNS, RUN_COLUMNS, ObservedWorld
from mlops.settings import Settings

NOW = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def counted(reads: list[str], stamp: Any = 1) -> WorldPart[int]:
    def read(world: ObservedWorld) -> int:
        reads.append("read")
        return len(reads)

    return WorldPart("counted", read, lambda world: stamp)


def test_an_empty_home_has_nothing_and_is_left_empty(settings: Settings) -> None:
    world = ObservedWorld(settings)

    found = {part.name: world.read(part) for part in PARTS}

    frames = {name: found.pop(name) for name in ("runs", "blocks", "totals")}
    assert not any(found.values())
    assert all(frame.empty for frame in frames.values())
    assert dict(frames["runs"].dtypes.astype(str)) == RUN_COLUMNS
    assert dict(frames["blocks"].dtypes.astype(str)) == BLOCK_COLUMNS
    assert not settings.home.exists()


def test_a_part_is_read_again_only_when_its_stamp_differs(settings: Settings) -> None:
    reads: list[str] = []
    memory = Memory()

    def value(stamp: int) -> int:
        world = ObservedWorld(settings, memory=memory)
        return world.read(counted(reads, stamp)) + 0 * world.read(counted(reads, stamp))

    assert [value(stamp) for stamp in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 3]


def test_what_fails_is_asked_once_per_refresh_and_again_in_the_next(settings: Settings) -> None:
    asked: list[int] = []

    def fail(world: ObservedWorld) -> int:
        asked.append(1)
        raise OSError("no network")

    memory = Memory()
    part = WorldPart("failing", fail, lambda world: 1)
    for refreshes in (1, 2):
        world = ObservedWorld(settings, memory=memory)
        for _ in range(3):
            with pytest.raises(OSError, match="no network"):
                world.read(part)
        assert len(asked) == refreshes
        assert not ObservedWorld(settings, memory=memory).is_unchanged(world.used)


def test_a_stamp_that_several_parts_share_is_taken_once(settings: Settings) -> None:
    taken: list[int] = []

    def take(world: ObservedWorld) -> int:
        taken.append(1)
        return 7

    world = ObservedWorld(settings)
    world.read(WorldPart("one", lambda w: 1, take))
    world.read(WorldPart("two", lambda w: 2, take))

    assert len(taken) == 1


def test_parts_can_be_given_instead_of_read(settings: Settings) -> None:
    assert ObservedWorld(settings, versions=(), trail=()).champion is None
    with pytest.raises(TypeError, match="versoins"):
        ObservedWorld(settings, versoins=())


def test_the_clock_is_noted_and_moves_in_steps(settings: Settings) -> None:
    world = ObservedWorld(settings, now=NOW)
    assert world.now == NOW

    assert ObservedWorld(settings, now=NOW + timedelta(minutes=4)).is_unchanged(world.used)
    assert not ObservedWorld(settings, now=NOW + timedelta(minutes=5)).is_unchanged(world.used)


def test_windows_on_record_are_seen_when_they_come_and_when_they_change(
    settings: Settings, make_window: Callable[..., WindowRecord]
) -> None:
    memory = Memory()
    seen = []
    for record in (None, make_window(1), make_window(2), make_window(1, "drift"), None):
        if record:
            write_window(settings, record)
        windows = ObservedWorld(settings, memory=memory).windows
        seen.append([len(window.report.alarms) for window in windows])

    assert seen == [[], [0], [0, 0], [1, 0], [1, 0]]
    # Whoever finds nothing new has not even parsed it.
    assert ObservedWorld(settings, memory=memory).windows is windows


def test_runs_blocks_and_totals_come_from_mages_tables(
    settings: Settings, make_mage: Callable[[Path], Any]
) -> None:
    mage = make_mage(settings.home)
    mage.trigger("retraining", "weekly")
    mage.run("retraining", minutes_ago=60 * 24 * 40)  # too long ago
    mage.run("retraining", minutes_ago=30, seconds=90)
    mage.run("retraining", "FAILED", minutes_ago=20, error="ValueError: no trips")
    mage.run("monitoring", "RUNNING", minutes_ago=2, seconds=None)
    memory = Memory()
    world = ObservedWorld(settings, memory=memory)

    runs, blocks, totals = world.runs, world.blocks, world.totals

    assert list(runs["pipeline"]) == ["retraining", "retraining", "monitoring"]
    assert list(runs["status"]) == ["completed", "failed", "running"]
    assert list(runs["trigger"]) == ["weekly"] * 3
    assert runs["seconds"].iloc[0] == 90 and runs["seconds"].isna().iloc[2]
    assert str(runs["started_at"].dt.tz) == "UTC"
    assert list(blocks["error"]) == ["", "ValueError: no trips", ""]
    assert dict(zip(totals["status"], totals["runs"], strict=True)) == {
        "completed": 2,
        "failed": 1,
        "running": 1,
    }
    # When a run ends within the second in which it was last looked at
    mage.execute("update pipeline_run set status = 'COMPLETED' where status = 'RUNNING'")
    again = ObservedWorld(settings, memory=memory)
    # Then that is noticed.
    assert not again.is_unchanged(world.used)
    assert list(again.runs["status"]) == ["completed", "failed", "completed"]


def test_the_registry_is_asked_in_full_only_when_it_has_changed(
    settings: Settings, make_champion: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_champion(settings.home)
    memory = Memory()
    world = ObservedWorld(settings, memory=memory)
    assert world.champion is not None and world.champion.version == 1
    assert [move.version for move in world.trail] == [1]
    assert world.rollout is None
    # When nothing happens
    registry = memory.values["registry"][1]
    monkeypatch.setattr(type(registry), "versions", lambda self: pytest.fail("asked again"))
    assert ObservedWorld(settings, memory=memory).champion == world.champion
    monkeypatch.undo()
    # When an alias moves
    registry._client.set_registered_model_alias("trip-duration", "challenger", "1")
    again = ObservedWorld(settings, memory=memory)
    assert again.champion is not None and "challenger" in again.champion.aliases
    assert again.version("challenger") == again.version(1) == again.champion


def test_stamps_of_files_differ_whenever_they_may_have_changed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    stamps = [stamp_of(folder)]
    folder.mkdir()
    (folder / "one").write_text("1")
    stamps.append(stamp_of(folder))
    (folder / "two").write_text("2")
    stamps.append(stamp_of(folder))
    (folder / "new").write_text("3")
    (folder / "new").replace(folder / "two")
    stamps.append(stamp_of(folder))
    (folder / "two").unlink()
    stamps.append(stamp_of(folder))

    assert len(set(stamps[:4])) == 4
    assert stamps[4] == stamps[1] == stamp_of(folder) == stamp_of(folder)
    assert stamp_of(folder / "one") == stamp_of(folder)[:1] != stamp_of(folder / "none")


def test_reading_a_table_loads_neither_mlflow_nor_mage() -> None:
    assert module.RUN_DAYS >= 14
    import subprocess
    import sys

    code = (
        "import sys, mlops.observability.tables;"
        "print([n for n in ('mlflow', 'mage_ai', 'sklearn', 'xgboost') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
