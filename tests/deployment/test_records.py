"""Records: only appended to, read back as they were, and told to people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.deployment.records import DeploymentRecord, Records, RunKey, now
from mlops.deployment.story import tell
from mlops.errors import ConfigurationError, DeploymentError


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "deployments")


def opened(records: Records, version: int = 2, run: str = "7", **changes: Any) -> DeploymentRecord:
    record = DeploymentRecord(
        id=records.new_id(version),
        kind="deployment",
        version=version,
        from_version=1,
        asked="challenger",
        by="ann",
        reason="better on airports",
        run=RunKey(id=run, partition=f"3/{run}"),
        started_at=now(),
        **changes,
    )
    records.save(record)
    return record


def test_a_record_is_read_back_as_it_was(records: Records) -> None:
    record = opened(records).after("artifact_passed", "it works", evidence={"size": 1.5})
    records.save(record)

    assert records.load(record.id) == record
    assert record.state == "watching"
    assert record.steps[0].by == "ann"


def test_two_records_of_one_second_have_two_ids(records: Records) -> None:
    ids = {opened(records).id for _ in range(3)}

    assert len(ids) == 3
    assert [record.id for record in records.all()] == sorted(ids, reverse=True)


def test_a_run_finds_its_record_but_not_that_of_a_rebuilt_database(records: Records) -> None:
    record = opened(records, run="7")

    assert records.of_run(RunKey(id="7", partition="3/7")) == record
    assert records.of_run(RunKey(id="7", partition="3/another time")) is None
    assert records.of_run(RunKey()) is None


@pytest.mark.parametrize("unknown", ["nothing", "../secret", "", "claim.json"])
def test_an_unknown_id_is_refused(records: Records, unknown: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no deployment"):
        records.load(unknown)


def test_what_cannot_follow_is_not_recorded(records: Records) -> None:
    record = opened(records)

    with pytest.raises(DeploymentError, match="testing cannot be followed by kept"):
        record.after("kept", "at once")


def test_a_story_tells_what_was_decided_and_how_to_undo_it(records: Records) -> None:
    record = opened(records)
    for event, decision in (
        ("artifact_passed", "it works"),
        ("canary_skipped", "no server"),
        ("promoted", "version 2 is champion"),
        ("smoke_passed", "it answers"),
        ("kept", "it stays"),
    ):
        record = record.after(event, decision)  # type: ignore[arg-type]

    lines = tell(record, champion=2)

    assert "version 2, champion before: version 1" in lines[0]
    assert lines[1] == "  requested by ann: better on airports"
    assert [line.split()[1] for line in lines[2:-1]] == ["✓", "–", "✓", "✓", "✓"]
    assert lines[-1] == "Version 2 is champion. Undo: mlops rollback"
    assert tell(record, champion=2, can_undo=False)[-1] == "Version 2 is champion."
    assert tell(record, champion=3)[-1] == "Version 3 is champion.", "another has followed"


def test_a_story_without_an_end_says_where_it_stands(records: Records) -> None:
    record = opened(records).after("artifact_passed", "it works")

    assert tell(record, champion=1)[-2:] == ["  … watching", "Version 1 is champion."]
