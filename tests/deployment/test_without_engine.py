"""A rollback from the command line does not wait for an engine that is busy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.cli import main
from mlops.orchestration.runs.lock import HomeLock
from mlops.orchestration.runs.naming import ENGINE_LOCK
from mlops.registry.versions import Registry


@pytest.fixture
def busy(running: Any, free_ports: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A home with two champions in its history, where a training keeps the engine busy."""
    port, metrics_port = free_ports(2)
    monkeypatch.setenv("MLOPS_HOME", str(running.settings.home))
    monkeypatch.setenv("MLOPS_SERVING__PORT", str(port))
    monkeypatch.setenv("MLOPS_SERVING__METRICS_PORT", str(metrics_port))
    Registry(running.settings).promote(2, "the second", "test")
    lock = HomeLock(running.settings.home / ENGINE_LOCK, "a training of hours")
    lock.acquire()
    yield running
    lock.release()


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def test_it_is_done_at_once_with_the_same_record(
    busy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("rollback", "--reason", "complaints", "--json")

    record = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert code == 0
    assert busy.champion == 1
    assert (record["kind"], record["state"], record["run"]["id"]) == ("rollback", "kept", "")
    assert [step["event"] for step in record["steps"]] == ["restored", "smoke_skipped", "kept"]


def test_what_cannot_be_restored_is_named_with_its_exit_code(
    busy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("rollback", "--to", "3")

    assert code == 2
    assert "version 3 never was champion" in capsys.readouterr().err
    assert busy.champion == 2
