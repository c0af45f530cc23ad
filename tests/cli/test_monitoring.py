"""`mlops monitor` shows what was looked at, what was decided and what to type."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.cli import main
from mlops.cli.monitoring import window_rows
from mlops.monitoring.findings.policy import Champion, Decision, WindowOutcome
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    write_decision,
    write_window,
)
from mlops.orchestration.jobs import monitoring
from mlops.orchestration.jobs.monitoring import MonitoringOutcome
from mlops.settings import load_settings

Maker = Callable[..., WindowRecord]
NOW = datetime(2024, 3, 3, 12, tzinfo=timezone.utc)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["monitor", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def decided(step: Any, **more: Any) -> DecisionRecord:
    decision = Decision(
        step=step,
        at=NOW,
        reasons=("2 of the last 3 windows show drift", "zone 7 is closed"),
        champion=Champion(version="3", promoted_at=NOW - timedelta(days=9)),
        windows=(),
    )
    return DecisionRecord(decision=decision, **more)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def looked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[MonitoringOutcome], dict[str, Any]]:
    """Return what lets the pipeline find this; the variables it is given are noted."""
    given: dict[str, Any] = {}

    def find(look: MonitoringOutcome) -> dict[str, Any]:
        def run(settings: Any, variables: Any, on_event: Any) -> MonitoringOutcome:
            given.update(variables)
            return look

        monkeypatch.setattr(monitoring, "run_monitoring", run)
        return given

    return find


def test_a_row_has_the_errors_and_the_worst_of_each_kind(make_window: Maker) -> None:
    window = make_window(0, "drift", "performance", quiet=("quality", "labels"))

    assert window_rows([window]) == [
        {
            "window": "v3-served-20240301T000000",
            "rows": 5_000,
            "labelled": 4_900,
            "live_RMSE": "5.00 (3.50–4.50)",
            "expected": "4.00",
            "alarms": 2,
            "worst_of_each_kind": (
                "drift: drift is odd: 5 min (limit 4.5)\n"
                "performance: performance is odd: 5 min (limit 4.5)\n"
                "no alarm: quality, labels"
            ),
        }
    ]
    (unlabelled,) = window_rows([make_window(1)])
    assert (unlabelled["live_RMSE"], unlabelled["expected"]) == ("", "")


def test_many_reasons_are_told_where_to_read_them(
    looked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    record = decided("warn")
    window = WindowOutcome(window="v3-served-x", version="3", end=NOW, violated=frozenset())
    crowd = {"reasons": tuple(f"reason {number}" for number in range(12)), "windows": (window,)}
    looked(
        MonitoringOutcome(
            (), record.model_copy(update={"decision": record.decision.model_copy(update=crowd)})
        )
    )

    _, out, _ = call(capsys)

    assert "reason 7" in out and "reason 8" not in out
    assert "… and 4 more: mlops monitor v3-served-x" in out


def test_it_shows_windows_decision_and_what_was_started(
    looked: Any, make_window: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    record = decided("retrain", started="retraining", started_run=12)
    given = looked(MonitoringOutcome((make_window(0, "drift"),), record))

    code, out, _ = call(capsys, "--set", "monitoring.windows=4")

    assert code == 0
    assert "v3-served-20240301T000000" in out and "drift is odd" in out
    assert "Decision retrain on version 3, 2024-03-03 12:00 UTC" in out
    assert "zone 7 is closed" in out and "Started  retraining, run 12" in out
    assert given == {"monitoring.windows": "4"}


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_what_is_due_and_not_started_is_an_exit_code_with_the_command(
    looked: Any, as_json: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = "mlops rollback --reason drift"
    record = decided("rollback", problem="monitoring.act is off", command=command)
    given = looked(MonitoringOutcome((), record))

    code, out, err = call(capsys, "--no-act", *as_json)

    assert code == 12
    assert given == {"monitoring.act": False}
    if as_json:
        assert json.loads(out)["decisions"][0]["command"] == command
    else:
        assert "a rollback is due, but monitoring.act is off" in err
        assert f"by hand: {command}" in err
        assert "no new window" in out


def test_without_a_champion_it_says_how_to_get_one(
    looked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(MonitoringOutcome((), None))

    code, out, _ = call(capsys)

    assert code == 0
    assert "there is no champion to monitor; train one with: mlops run" in out


def test_it_lists_what_was_found_and_decided(
    home: Path, make_window: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "measure now with: mlops monitor" in call(capsys, "--list")[1]

    settings = load_settings()
    write_window(settings, make_window(0, "drift"))
    write_decision(settings, decided("warn", problem="no server"))

    code, out, _ = call(capsys, "--list")
    assert code == 0
    assert "v3-served-20240301T000000" in out and "2 of the last 3 windows show drift" in out
    content = json.loads(call(capsys, "--list", "--json")[1])
    assert len(content["windows"]) == len(content["decisions"]) == 1


def test_it_shows_one_window_whole(
    home: Path, make_window: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    window = make_window(0, "drift", quiet=("quality",))
    write_window(load_settings(), window)

    code, out, _ = call(capsys, window.window)
    assert code == 0
    for part in ("drift subject", "quality subject", "psi", "4.5 min", "alarm", "3.5 min – 4.5"):
        assert part in out, part
    content = json.loads(call(capsys, window.window, "--json")[1])
    assert WindowRecord.model_validate(content) == window

    code, _, err = call(capsys, "v9")
    assert code == 2
    assert "there is no window 'v9'" in err and "mlops monitor --list" in err
