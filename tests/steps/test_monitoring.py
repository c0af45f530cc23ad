"""The steps of `monitoring` hand on what they found, and leave out what nobody can judge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import DataQualityError, MlopsError, RegistryError
from mlops.monitoring.findings.records import (
    WindowRecord,
    read_decisions,
    read_windows,
    write_window,
)
from mlops.monitoring.windows.staging import StagedWindow
from mlops.registry.trail import Promotion, rollback_target
from mlops.settings import Settings, load_settings
from mlops.steps import monitoring

Maker = Callable[..., WindowRecord]
PROMOTED = datetime(2024, 2, 1, tzinfo=timezone.utc)
FIRST = Promotion(version=3, source="", previous=None, at=PROMOTED, reason="", by="ann")


class FakeRegistry:
    """Has version 3 as its first champion, unless another trail is given."""

    trail_: tuple[Promotion, ...] = (FIRST,)

    def __init__(self, settings: Settings) -> None:
        pass

    def champion_version(self) -> int | None:
        return self.trail_[0].version if self.trail_ else None

    def trail(self) -> tuple[Promotion, ...]:
        return self.trail_

    def can_roll_back(self) -> bool:
        return rollback_target(self.trail_) is not None


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> type[FakeRegistry]:
    monkeypatch.setattr(monitoring, "Registry", FakeRegistry)
    return FakeRegistry


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, Any]:
    return {"home": str(tmp_path), "pipeline_run_id": 9}


def staged(record: WindowRecord) -> StagedWindow:
    return StagedWindow(
        name=record.window,
        origin=record.origin,
        version=record.version,
        start=record.start,
        end=record.end,
        uri="nowhere",
        rows=record.trips,
        labelled=record.labelled,
        labels_from={},
    )


def measuring(
    monkeypatch: pytest.MonkeyPatch, records: list[WindowRecord], profiled: set[int]
) -> None:
    """Let windows be collected and measured, but for those of versions without a profile."""
    by_name = {record.window: record for record in records}

    def measure(settings: Settings, window: StagedWindow, now: datetime) -> WindowRecord:
        if window.version not in profiled:
            raise RegistryError(f"version {window.version} has no reference profile", "register")
        return by_name[window.name]

    monkeypatch.setattr(monitoring, "collect", lambda *_: tuple(map(staged, records)))
    monkeypatch.setattr(monitoring, "measure", measure)


def look(variables: dict[str, Any]) -> dict[str, Any]:
    measured = monitoring.measure_windows(monitoring.collect_windows(variables), variables)
    return monitoring.decide(measured, variables)


def test_windows_are_measured_stored_and_decided_on(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_window(hour, "drift") for hour in (0, 1)]
    measuring(monkeypatch, records, {3})

    decided = look(variables)

    settings = load_settings(variables, strict=False)
    assert read_windows(settings) == tuple(records)
    [record] = read_decisions(settings)
    assert decided == {"record": record.model_dump(mode="json"), "start": True}
    assert record.run_id == 9 and record.decision.step == "retrain"
    assert monitoring.is_to_start(decided)
    assert record.decision.champion.promoted_at == PROMOTED


def test_told_not_to_act_it_leaves_it_at_a_word(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, [make_window(hour, "drift") for hour in (0, 1)], {3})

    decided = look({**variables, "monitoring.act": False})

    assert not monitoring.is_to_start(decided)
    assert decided["record"]["problem"] == "monitoring.act is off"


def test_without_a_champion_nothing_is_decided(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, [], set())
    monkeypatch.setattr(registry, "trail_", ())

    assert look(variables) == {"record": None, "start": False}


def test_a_former_version_without_a_profile_is_left_out(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, [make_window(0, version=2), make_window(1)], {3})

    assert look(variables)["record"]["decision"]["step"] == "ok"
    stored = read_windows(load_settings(variables, strict=False))
    assert [window.version for window in stored] == [3]


def test_a_champion_without_a_profile_is_an_error_once_all_else_is_stored(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, [make_window(0), make_window(1, version=2)], {2})

    with pytest.raises(RegistryError, match="version 3 has no reference profile"):
        look(variables)

    stored = read_windows(load_settings(variables, strict=False))
    assert [window.version for window in stored] == [2]


@pytest.mark.parametrize("problem", [RegistryError, DataQualityError])
def test_no_window_is_stored_beyond_one_that_could_not_be_measured(
    problem: type[MlopsError],
    registry: Any,
    variables: dict[str, Any],
    make_window: Maker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given four windows, and a registry or a file that fails at the second and then works again
    records = [make_window(hour) for hour in range(4)]
    measuring(monkeypatch, records, {3})
    usual = monitoring.measure

    def measure(settings: Settings, window: StagedWindow, now: datetime) -> WindowRecord:
        if window.name == records[1].window:
            raise problem("away for a moment", "try again")
        return usual(settings, window, now)

    monkeypatch.setattr(monitoring, "measure", measure)

    with pytest.raises(problem, match="away for a moment"):
        look(variables)

    # Then what is collected next begins with it: nothing behind it is on record
    settings = load_settings(variables, strict=False)
    assert read_windows(settings) == (records[0],)


def test_the_version_before_is_loaded_only_if_trips_have_ended(
    registry: Any, variables: dict[str, Any], make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a young champion, of which no trip has ended; the registry here could not load any
    now = datetime.now(timezone.utc)
    young = Promotion(
        version=3, source="", previous=2, at=now - timedelta(days=1), reason="", by="ann"
    )
    monkeypatch.setattr(registry, "trail_", (young,))
    record = make_window(0, "serving", origin="source")
    measuring(monkeypatch, [record], {3})
    write_window(load_settings(variables, strict=False), record)

    champion = look(variables)["record"]["decision"]["champion"]

    assert (champion["previous"], champion["previous_gain"]) == ("2", None)
