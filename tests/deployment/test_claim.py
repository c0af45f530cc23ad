"""The claim: one holder, released only by itself, and known even if its file is damaged."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.deployment.claim import NOBODY, Claim, Claims, stored_claim
from mlops.deployment.records import DeploymentRecord, Records, RunKey, now
from mlops.errors import DamagedFileError, DeploymentError


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path / "home" / "deployments", lambda claim: claim.run.id != "dead")


def record(id_: str, run: str = "7") -> DeploymentRecord:
    return DeploymentRecord(
        id=id_,
        kind="deployment",
        version=2,
        from_version=1,
        asked="challenger",
        by="ann",
        reason="to see",
        run=RunKey(id=run),
        started_at=now(),
    )


MINE = "20240309T120000-v2"
OTHER = "20240310T120000-v3"


def test_a_deployment_releases_its_own_claim_and_nobody_elses(claims: Claims) -> None:
    claims.release(MINE)  # there is none yet
    claims.take(Claim.of(record(MINE)))

    claims.release(OTHER)
    assert claims.holder() is not None and claims.holder().deployment == MINE
    claims.require(MINE)

    claims.release(MINE)
    assert claims.holder() is None and claims.present() is None


@pytest.mark.parametrize(("taken", "words"), [(True, f"deployment {OTHER}"), (False, "a rollback")])
def test_who_lost_the_claim_is_told_to_whom(claims: Claims, taken: bool, words: str) -> None:
    claims.take(Claim.of(record(MINE)))
    claims.release(MINE)
    if taken:
        claims.take(Claim.of(record(OTHER)))

    with pytest.raises(DeploymentError, match=f"{MINE} was stopped: {words}"):
        claims.require(MINE)


def test_a_claim_is_in_force_while_its_run_lives(claims: Claims) -> None:
    claims.take(Claim.of(record(MINE)))
    assert claims.present() == claims.holder()

    claims.take(Claim.of(record(OTHER, run="dead")))
    assert claims.present() is None
    assert claims.holder() is not None


@pytest.mark.parametrize(("run", "where"), [("7", "pipeline run 7,"), ("", "process {pid},")])
def test_who_is_busy_says_where(run: str, where: str) -> None:
    assert where.format(pid=os.getpid()) in Claim.of(record(MINE, run)).is_busy().message


def test_a_damaged_claim_is_the_newest_unfinished_deployments(
    claims: Claims, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(claims.folder)
    claims.folder.mkdir(parents=True)
    (claims.folder / "claim.json").write_text("{")
    with pytest.raises(DamagedFileError):
        stored_claim(claims.folder)
    assert claims.holder() is None
    assert "claim.json" in caplog.text, "a person is told"

    records.save(record(MINE))
    records.save(record(OTHER).after("artifact_failed", "it does not load"))

    holder = claims.holder()
    assert holder is not None
    assert (holder.deployment, holder.pid) == (MINE, NOBODY)


def test_nobody_looks_while_another_does(
    claims: Claims, other_process: Callable[[Path], bool]
) -> None:
    with claims.locked():
        assert not other_process(claims.folder / "claim.lock")
    assert other_process(claims.folder / "claim.lock")


@pytest.fixture
def other_process() -> Callable[[Path], bool]:
    """Return what tells whether somebody who opens a file for himself can lock it."""

    def can_lock(path: Path) -> bool:
        with path.open("r") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    return can_lock
