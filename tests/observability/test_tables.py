"""The frame of the tables: what fails costs no other, what is unchanged costs nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.observability import tables as module
from mlops.observability.memory import Memory, WorldPart, stamp_of
from mlops.observability.table import ObservedTable
from mlops.observability.tables import TABLES, read_table, refresh
from mlops.observability.world import ObservedWorld
from mlops.settings import Settings

COLUMNS = {"name": "object", "value": "float64", "at": "datetime64[us, UTC]"}
NUMBER = WorldPart(
    "number",
    lambda world: float((world.settings.home / "number").read_text()),
    lambda world: stamp_of(world.settings.home / "number"),
)


def build(world: ObservedWorld) -> pd.DataFrame:
    at = pd.Timestamp("2024-03-01", tz="UTC")
    return pd.DataFrame([{"at": at, "value": world.read(NUMBER), "name": "a", "extra": 1}])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "number").write_text("1.5")
    own = {
        "good": ObservedTable(COLUMNS, build),
        "other": ObservedTable(COLUMNS, lambda world: build(world)),
    }
    monkeypatch.setattr(module, "TABLES", own)
    return Settings(home=tmp_path)


def renew(settings: Settings, memory: Memory | None = None) -> Any:
    return refresh(settings, memory, module.TABLES)


def test_a_table_has_its_columns_before_there_is_data_and_after(settings: Settings) -> None:
    before = read_table(settings, "good")
    assert before.empty and dict(before.dtypes.astype(str)) == COLUMNS

    assert renew(settings).built == ("good", "other")

    after = read_table(settings, "good")
    assert dict(after.dtypes.astype(str)) == COLUMNS
    assert after.to_dict("records") == [
        {"name": "a", "value": 1.5, "at": pd.Timestamp("2024-03-01", tz="UTC")}
    ]


def test_only_what_its_parts_say_is_made_again(settings: Settings) -> None:
    memory = Memory()
    renew(settings, memory)
    assert renew(settings, memory).built == ()

    (settings.home / "number").write_text("2.25")
    assert renew(settings, memory).built == ("good", "other")
    assert read_table(settings, "good")["value"].tolist() == [2.25]

    (settings.observed / "good.parquet").unlink()
    assert renew(settings, memory).built == ("good",)


def test_a_table_that_comes_out_the_same_is_not_written(settings: Settings) -> None:
    renew(settings)
    file = settings.observed / "good.parquet"
    before = file.stat()

    assert "good" in renew(settings).built
    assert file.stat() == before


def test_a_failing_table_is_told_once_and_costs_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory()
    renew(settings, memory)

    def fail(world: ObservedWorld) -> pd.DataFrame:
        raise ValueError(f"no sense in {world.read(NUMBER)}")

    changed = {**module.TABLES, "good": ObservedTable(COLUMNS, fail)}
    monkeypatch.setattr(module, "TABLES", changed)
    (settings.home / "number").write_text("3")
    with caplog.at_level(logging.ERROR):
        results = [renew(settings, memory) for _ in range(3)]

    assert [done.problems for done in results] == [{"good": "ValueError: no sense in 3.0"}] * 3
    assert results[0].built == ("other",)
    assert read_table(settings, "good")["value"].tolist() == [1.5]  # as it was
    assert read_table(settings, "other")["value"].tolist() == [3.0]
    assert len(caplog.records) == 1
    # And when it works again, it is well.
    monkeypatch.setattr(module, "TABLES", {**changed, "good": ObservedTable(COLUMNS, build)})
    (settings.home / "number").write_text("4")
    assert renew(settings, memory).problems == {}
    assert read_table(settings, "good")["value"].tolist() == [4.0]


def test_a_source_that_cannot_be_read_is_tried_again(settings: Settings) -> None:
    memory = Memory()
    (settings.home / "number").rename(settings.home / "gone")
    assert set(renew(settings, memory).problems) == {"good", "other"}

    (settings.home / "gone").rename(settings.home / "number")
    assert renew(settings, memory).built == ("good", "other")


def test_a_forgotten_column_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ObservedTable({**COLUMNS, "forgotten": "int64"}, build)
    monkeypatch.setattr(module, "TABLES", {"good": wrong})

    assert "forgotten" in renew(settings).problems["good"]


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_damaged_file_is_no_data_and_is_made_again(settings: Settings, content: bytes) -> None:
    renew(settings)
    (settings.observed / "good.parquet").write_bytes(content)

    assert read_table(settings, "good").empty
    assert "good" in renew(settings).built
    assert len(read_table(settings, "good")) == 1


def test_a_file_of_an_older_version_is_no_data(settings: Settings) -> None:
    settings.observed.mkdir()
    pd.DataFrame({"name": ["a"]}).to_parquet(settings.observed / "good.parquet")

    assert read_table(settings, "good").empty


def test_every_table_can_be_made_of_an_empty_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")

    done = refresh(settings)

    assert done.problems == {} and set(done.built) == set(TABLES)


def test_nothing_is_made_again_while_nothing_happens(
    tmp_path: Path, make_champion: Callable[[Path], None], make_mage: Callable[[Path], Any]
) -> None:
    settings, memory = Settings(home=tmp_path / "home"), Memory()
    make_champion(settings.home)
    make_mage(settings.home).run("retraining")
    refresh(settings, memory)

    # Several looks: some tables tell the minute, and a busy machine may take one for a look.
    assert any(refresh(settings, memory).built == () for _ in range(5))


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more", None])
def test_a_table_that_is_damaged_while_somebody_watches_is_written_again(
    settings: Settings, content: bytes | None
) -> None:
    memory = Memory()
    name = refresh(settings, memory).built[0]
    path = settings.observed / f"{name}.parquet"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    assert name in refresh(settings, memory).built

    assert path.read_bytes() == whole
    assert name not in refresh(settings, memory).built
