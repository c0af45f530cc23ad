"""One deployment at a time: an exclusive claim that outlives the processes of its blocks.

A file names the deployment in progress and its pipeline run; a short lock, which the operating
system frees with its process, makes each look-and-change one step. The champion is moved
only under that lock and with the claim, so that a deployment that lost its claim cannot move it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mlops.data.references import Reference
from mlops.deployment.records import DeploymentRecord, Records, RunKey, now
from mlops.deployment.states import Kind
from mlops.errors import BusyError, DamagedFileError, DeploymentError
from mlops.records.files import find_record, report, write_record

_FILE: Final = "claim.json"
_LOCK: Final = "claim.lock"
NOBODY: Final = 0  # in place of a process that is not known


class Claim(Reference):
    """Who is deploying what."""

    deployment: str
    kind: Kind
    version: int
    run: RunKey
    pid: int  # of the process that claimed; tells the living from the dead outside Mage
    since: datetime

    @classmethod
    def of(cls, record: DeploymentRecord) -> Claim:
        """Return the claim of a deployment that this process works on."""
        return cls(
            deployment=record.id,
            kind=record.kind,
            version=record.version,
            run=record.run,
            pid=os.getpid(),
            since=now(),
        )

    def is_busy(self) -> BusyError:
        """Return the message for a second claimant."""
        where = f"pipeline run {self.run.id}" if self.run.id else f"process {self.pid}"
        return BusyError(
            f"{self.kind} {self.deployment} of version {self.version} is in progress "
            f"({where}, since {self.since:%Y-%m-%d %H:%M:%S} UTC)",
            "wait for it, watch it with: mlops deployments; or end it with: mlops rollback",
        )


def stored_claim(folder: Path) -> Claim | None:
    """Return the claim in a folder (`settings.deployments`), or None if there is none.

    Raises:
        DamagedFileError: If its file is damaged.
    """
    way_out = "remove {path}: mlops deploy and mlops rollback find its owner in the records"
    return find_record(folder / _FILE, Claim, way_out)


@dataclass(frozen=True)
class Claims:
    """The claim of a home. Methods other than `locked` are to be called under the lock.

    Args:
        folder: `settings.deployments`.
        is_alive: Tells whether the run of a claim is still in progress.
    """

    folder: Path
    is_alive: Callable[[Claim], bool]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Look at and change the claim with nobody in between; not reentrant."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def holder(self) -> Claim | None:
        """Return the claim in force, of the living or the dead, or None.

        If the file is damaged, the newest record that has not ended tells whose it was.
        """
        try:
            return stored_claim(self.folder)
        except DamagedFileError as error:
            report(error)
        record = Records(self.folder).newest(lambda record: not record.is_over)
        return Claim.of(record).model_copy(update={"pid": NOBODY}) if record else None

    def present(self) -> Claim | None:
        """Return the claim in force if its run is alive, or None."""
        claim = self.holder()
        return claim if claim and self.is_alive(claim) else None

    def take(self, claim: Claim) -> None:
        """Make a claim the one in force."""
        write_record(self.folder / _FILE, claim)

    def release(self, deployment: str) -> None:
        """Give a deployment's claim up; nothing happens if it has none."""
        claim = self.holder()
        if claim and claim.deployment == deployment:
            (self.folder / _FILE).unlink()

    def require(self, deployment: str) -> None:
        """Make sure that a deployment still has the claim.

        Raises:
            DeploymentError: Naming who has it.
        """
        claim = self.holder()
        if claim is None or claim.deployment != deployment:
            taker = f"{claim.kind} {claim.deployment}" if claim else "a rollback, which has ended,"
            raise DeploymentError(
                f"deployment {deployment} was stopped: {taker} took its place",
                f"see why: mlops deployments {deployment}",
            )
