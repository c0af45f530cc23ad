"""`mlops deployments`: what is on record, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.cli import main
from mlops.deployment.records import DeploymentRecord, Records, RunKey, now
from mlops.settings import Settings


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeploymentRecord:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    records = Records(Settings().deployments)
    record = DeploymentRecord(
        id=records.new_id(2),
        kind="deployment",
        version=2,
        from_version=1,
        asked="2",
        by="ann",
        reason="to see",
        run=RunKey(id="7"),
        started_at=now(),
    ).after("artifact_failed", "one trip takes 900 ms", evidence={"latency": 900})
    records.save(record)
    return record


def test_the_table_and_its_json_say_the_same(
    record: DeploymentRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    code, table, _ = call(capsys, "deployments")
    _, text, _ = call(capsys, "deployments", "--json")

    assert code == 0
    assert record.id in table and "one trip takes 900 ms" in table
    (row,) = json.loads(text)
    assert (row["id"], row["state"], row["by"]) == (record.id, "refused", "ann")


def test_one_deployment_is_told_whole(
    record: DeploymentRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    _, story, _ = call(capsys, "deployments", record.id)
    _, text, _ = call(capsys, "deployments", record.id, "--json")

    assert "✗ one trip takes 900 ms" in story
    assert json.loads(text)["steps"][0]["evidence"] == {"latency": 900}


def test_an_unknown_deployment_is_a_mistake(
    record: DeploymentRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, errors = call(capsys, "deployments", "nothing")

    assert code == 2
    assert "mlops deployments" in errors


def test_before_the_first_deployment_the_way_to_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))

    assert "mlops deploy VERSION" in call(capsys, "deployments")[1]
