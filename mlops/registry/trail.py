"""The trail of champions: every change of the champion, who made it and why; never rewritten.

It lies in the home, where MLflow cannot write, and it decides: the alias `champion` in MLflow is
only a copy for people. A promotion has happened once its record is written. The rollout, which
gives another version a share of the requests, lies beside it for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from mlops import fingerprints
from mlops.data.references import Reference
from mlops.errors import ConfigurationError, DamagedFileError
from mlops.records.files import find_record, refuse, write_record
from mlops.records.folder import RecordFolder
from mlops.registry.rollout import Rollout
from mlops.settings import Settings

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
PREVIOUS_CHAMPION: Final = "previous_champion"
# The tag of a version that says what the gate decided.
VERDICT: Final = "mlops.verdict"
PASSED: Final = "passed"
REFUSED: Final = "refused"
SYNTHETIC: Final = "mlops.synthetic"  # the tag that says whether its rows were: true or false
# MLflow's databases hold 5 000 characters per tag, and people's words are copied to one.
MAX_REASON: Final = 2_000
_TRAIL_WAY_OUT: Final = (
    "restore {path} from a backup; or remove it: this change of the champion is then forgotten"
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
    registry: str = ""  # in which it happened, as a digest; each numbers its versions by itself

    @property
    def aliases(self) -> dict[str, int]:
        """Who is and was champion since."""
        named = {CHAMPION: self.version, PREVIOUS_CHAMPION: self.previous}
        return {alias: version for alias, version in named.items() if version is not None}


class Trail:
    """The changes of one model's champion, and its rollout.

    Args:
        settings: Name the home and the registered model.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.registry / f"model-{quote(settings.tracking.model_name, safe='')}"
        self._records = RecordFolder(folder / "champions", Promotion, _TRAIL_WAY_OUT)
        self._rollout = folder / "rollout.json"
        self._registry = fingerprints.of_values(settings.tracking_uri)

    def newest(self) -> Promotion | None:
        """Return the last change, or None.

        Raises:
            DamagedFileError: If its record is damaged.
        """
        paths = self._records.paths()
        return self._records.find(paths[-1].stem) if paths else None

    def in_force(self, source_of: Callable[[int], str | None]) -> Promotion | None:
        """Return the last change in this registry, if it still has the version of that change.

        Args:
            source_of: Returns the source of a version's model; None if there is no such version.

        Raises:
            DamagedFileError: If the record is damaged.
        """
        for path in reversed(self._records.paths()):
            change = self._records.find(path.stem)
            if change and self._is_here(change, source_of):
                return change if source_of(change.version) == change.source else None
        return None

    def here(self, source_of: Callable[[int], str | None]) -> tuple[Promotion, ...]:
        """Return all changes in this registry, newest first; raises what `in_force` raises."""
        return tuple(change for change in self.all() if self._is_here(change, source_of))

    def _is_here(self, change: Promotion, source_of: Callable[[int], str | None]) -> bool:
        """Tell whether a change happened in this registry, which may have several addresses."""
        known = change.registry in ("", self._registry)
        return known or source_of(change.version) == change.source

    def all(self, on_damage: Callable[[DamagedFileError], None] = refuse) -> tuple[Promotion, ...]:
        """Return all changes in any registry, newest first.

        Args:
            on_damage: Given the error of each damaged record; by default it is raised.
        """
        return tuple(reversed(self._records.all(on_damage=on_damage)))

    def append(self, promotion: Promotion) -> Promotion:
        """Write a change down; it is dated after the one before, whatever the clock says."""
        last = self.newest()
        if last and promotion.at <= last.at:
            after = last.at + timedelta(microseconds=1)
            promotion = promotion.model_copy(update={"at": after})
        promotion = promotion.model_copy(update={"registry": self._registry})
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


def true_aliases(in_mlflow: Mapping[str, int], last: Promotion | None) -> dict[str, int]:
    """Return which version each alias names: who is and was champion, the last change says."""
    aliases = {a: v for a, v in in_mlflow.items() if a not in (CHAMPION, PREVIOUS_CHAMPION)}
    return {**aliases, **(last.aliases if last else {})}


def rollback_target(trail: tuple[Promotion, ...]) -> int | None:
    """Return the version that a rollback without a named version restores, or None.

    It undoes the last promotion. It never undoes a rollback: a second call, made twice in haste or
    by two people, would bring back the very version that was taken away.
    """
    return trail[0].previous if trail and trail[0].kind == "promotion" else None


def require_target(
    trail: tuple[Promotion, ...], versions: Mapping[int, Mapping[str, str]], to: int | None = None
) -> int:
    """Return the version that a rollback restores.

    Args:
        trail: Newest first.
        versions: Tags of each version that there is.
        to: A former champion that a person names.

    Raises:
        ConfigurationError: If there is nothing to restore, or only a synthetic model in place of a
            real one; or if ``to`` is gone or never was champion.
    """
    champion = trail[0].version if trail else None
    named = {v for p in trail for v in (p.version, p.previous) if v is not None}
    former = sorted(named.intersection(versions) - {champion})
    name_one = "deploy another version: mlops deploy VERSION"
    if former:
        numbers = ", ".join(map(str, former))
        name_one = f"restore a former champion ({numbers}): mlops rollback --to {former[-1]}"
    if to is not None:
        if to not in versions:
            raise ConfigurationError(f"to_version: there is no version {to}", name_one)
        if to != champion and to not in former:
            raise ConfigurationError(
                f"to_version: version {to} never was champion, so it cannot be restored",
                f"{name_one}; or deploy this one: mlops deploy {to}",
            )
        return to
    target = rollback_target(trail)
    if target is not None and target not in versions:
        raise ConfigurationError(
            f"version {target}, the champion before version {champion}, is not in the registry",
            name_one,
        )
    if target is not None:
        if [versions.get(v or 0, {}).get(SYNTHETIC) for v in (target, champion)] == [
            "true",
            "false",
        ]:
            raise ConfigurationError(
                f"version {target}, the champion before version {champion}, learned from synthetic "
                "rows",
                f"to restore it anyway: mlops rollback --to {target}",
            )
        return target
    if trail and trail[0].kind == "rollback":
        last = trail[0]
        raise ConfigurationError(
            f"version {last.version} was itself restored from version {last.previous} by a "
            f"rollback ({last.reason}); another one would bring version {last.previous} back",
            name_one,
        )
    raise ConfigurationError("there is no previous champion", name_one)
