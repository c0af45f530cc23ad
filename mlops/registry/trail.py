"""The trail of champions: every change of the champion, who made it and why; never rewritten.

It lies in the home, where MLflow cannot write, and it decides: the alias `champion` in MLflow is
only a copy for people. A promotion has happened once its record is written. The rollout, which
gives another version a share of the requests, lies beside it for the same reason.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from mlops.data.references import Reference
from mlops.records.files import find_record, write_record
from mlops.records.folder import RecordFolder
from mlops.registry.rollout import Rollout
from mlops.settings import Settings

# MLflow's databases hold 5 000 characters per tag, and people's words are copied to one.
MAX_REASON: Final = 2_000
_TRAIL_WAY_OUT: Final = (
    "restore {path} from a backup; or remove it: then this change of the champion is forgotten"
)
_ROLLOUT_WAY_OUT: Final = "remove {path}: the canary or shadow ends"


class Promotion(Reference):
    """A version became champion."""

    version: int
    source: str  # of its model: another model under the same number is another version
    previous: int | None  # the champion before it
    at: datetime
    reason: str
    by: str
    kind: Literal["promotion", "rollback"] = "promotion"


class Trail:
    """The changes of one model's champion, and its rollout.

    Args:
        settings: Name the home and the registered model.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.registry / f"model-{quote(settings.tracking.model_name, safe='')}"
        self._records = RecordFolder(folder / "champions", Promotion, _TRAIL_WAY_OUT)
        self._rollout = folder / "rollout.json"

    def newest(self) -> Promotion | None:
        """Return the last change, or None.

        Raises:
            DamagedFileError: If its record is damaged.
        """
        paths = self._records.paths()
        return self._records.find(paths[-1].stem) if paths else None

    def all(self) -> tuple[Promotion, ...]:
        """Return all changes, newest first.

        Raises:
            DamagedFileError: If a record is damaged.
        """
        return tuple(reversed(self._records.all(on_damage=_raise)))

    def append(self, promotion: Promotion) -> Promotion:
        """Write a change down; it is dated after the one before, whatever the clock says."""
        last = self.newest()
        if last and promotion.at <= last.at:
            after = last.at + timedelta(microseconds=1)
            promotion = promotion.model_copy(update={"at": after})
        self._records.write(f"{promotion.at:%Y%m%dT%H%M%S.%f}", promotion)
        return promotion

    def rollout(self) -> Rollout | None:
        """Return the canary or shadow in force, or None; an expired one is none.

        Raises:
            DamagedFileError: If the record is damaged.
        """
        rollout = find_record(self._rollout, Rollout, _ROLLOUT_WAY_OUT)
        return rollout if rollout and not rollout.is_over() else None

    def start_rollout(self, rollout: Rollout) -> None:
        """Write a rollout down in place of the one in force."""
        write_record(self._rollout, rollout)

    def end_rollout(self) -> None:
        """Forget the rollout in force, if any."""
        self._rollout.unlink(missing_ok=True)

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Return what differs whenever the trail or the rollout has changed."""
        return tuple((path.name, path.stat().st_mtime_ns) for path in self._present())

    def _present(self) -> list[Path]:
        return [*self._records.paths()[-1:], *self._rollout.parent.glob(self._rollout.name)]


def rollback_target(trail: tuple[Promotion, ...]) -> int | None:
    """Return where a rollback goes when it is told no version, or None.

    It undoes the last promotion. It never undoes a rollback: a second call, made twice in haste or
    by two people, would bring back the very version that was taken away.
    """
    return trail[0].previous if trail and trail[0].kind == "promotion" else None


def _raise(error: Exception) -> None:
    raise error
