"""Keeps what is served equal to what the registry wants: the only part that knows MLflow.

It asks the registry every second, compiles what is new in a process of its own, and writes the
state that workers watch only after the bundle was proved. So neither a registry that is away nor
an artifact that is broken, endless or hostile to the process that loads it stops what is serving.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mlops import fingerprints
from mlops.errors import DamagedFileError, MlopsError
from mlops.registry.rollout import Rollout
from mlops.serving.answers.state import Served, ServingState, mark_of, read_state, write_state
from mlops.serving.model.bundle import read_head
from mlops.serving.model.compiling import compile_apart
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.versions import Registry, VersionInfo

logger = logging.getLogger(__name__)

KEPT_BUNDLES: Final = 3  # beside those in use: a rollback needs no compilation
_FIRST_WAIT: Final = 5.0  # before a broken artifact is tried again; doubles
_LONGEST_WAIT: Final = 300.0


class FollowedRegistry(Protocol):
    """What the follower asks the registry."""

    def standing(self) -> tuple[int | None, Rollout | None, str]:
        """Return the champion's version, the rollout in force, and what is wrong with the alias."""

    def get(self, version: int | str) -> VersionInfo | None:
        """Return a version."""


@dataclass
class _Failure:
    why: str
    again_at: float
    wait: float


@dataclass
class RegistryFollower:
    """Follows the registry step by step.

    Attributes:
        settings: Name the registry and the serving folder.
        open_registry: Returns the registry; may raise what `Registry` raises.
        make_bundle: Makes the bundle of a version unless there is a good one; raises an
            `MlopsError`.
        prove: Raises an `MlopsError` if a bundle is damaged.
        clock: Monotonic seconds.
    """

    settings: Settings
    open_registry: Callable[[Settings], FollowedRegistry]
    make_bundle: Callable[[Settings, VersionInfo, Path], None]
    prove: Callable[[Path], object] = read_head
    clock: Callable[[], float] = time.monotonic
    _proved: dict[str, object] = field(default_factory=dict)  # what marked each sound bundle
    _announced: bool = False  # whether the file holds a problem that `step` has not seen the end of
    _registry: FollowedRegistry | None = None
    _failures: dict[str, _Failure] = field(default_factory=dict)

    def step(self) -> ServingState:
        """Ask the registry once, and write the state if anything is new.

        Returns:
            The state in force. Whatever fails is in its ``problem``, and what served goes on.
        """
        old = _last_state(self.settings)
        try:
            new = self._wanted(old)
        except Exception as error:  # the registry's client may raise anything when half of it is up
            if not isinstance(error, MlopsError):
                logger.exception("the registry cannot be read")
            self._registry = None  # a server that comes back may be another one
            new = old.model_copy(update={"problem": _said(error)})
        same = new.model_copy(update={"updated_at": old.updated_at}) == old
        if same and not self._announced:
            return old
        self._announced = False
        _report(old, new)
        write_state(self.settings.served, new)
        self._clean(new)
        return new

    def _wanted(self, old: ServingState) -> ServingState:
        if self._registry is None:
            self._registry = self.open_registry(self.settings)
        number, rollout, stray = self._registry.standing()
        problems = [stray] if stray else []
        champion, beside = old.champion, None
        if number is None and champion is not None:
            problems.append(
                f"the registry no longer names a champion: version {champion.version} stays"
            )
        elif number is not None:
            champion, problem = self._served(number, None, old.champion)
            problems += problem
        if rollout is not None:
            same = old.rollout is not None and old.rollout.version == rollout.version
            beside, problem = self._served(
                rollout.version, rollout.started_at, old.beside if same else None
            )
            problems += problem
        return ServingState(
            champion=champion,
            rollout=rollout,
            beside=beside,
            problem="; ".join(problems),
            updated_at=datetime.now(timezone.utc),
        )

    def _served(
        self, number: int, since: datetime | None, old: Served | None
    ) -> tuple[Served | None, list[str]]:
        """Return what serves as a version: itself, or what did so far and why it still does."""
        assert self._registry is not None
        if old is not None and old.version == number and self._is_usable(old):
            return old, []
        info = self._registry.get(number)
        if info is None:
            return old, [f"the registry has no version {number}"]
        bundle = bundle_name(info)
        failure = self._failures.get(bundle)
        if failure is None or self.clock() >= failure.again_at:
            try:
                self.make_bundle(self.settings, info, bundles_folder(self.settings) / bundle)
                self._proved.pop(bundle, None)
                self._failures.pop(bundle, None)
                at = since or info.promoted_at or datetime.now(timezone.utc)
                return Served(version=number, bundle=bundle, since=at), []
            except (MlopsError, OSError) as error:
                wait = min(failure.wait * 2, _LONGEST_WAIT) if failure else _FIRST_WAIT
                failure = _Failure(_said(error), self.clock() + wait, wait)
                self._failures[bundle] = failure
                logger.error("version %d cannot be served: %s", number, failure.why)
        return old, [f"version {number} cannot be served: {failure.why}"]

    def _is_usable(self, served: Served) -> bool:
        """Tell whether a bundle was compiled by this code, and is sound."""
        return served.bundle.endswith(_compiler()) and self._is_sound(served)

    def _is_sound(self, served: Served) -> bool:
        """Tell whether a bundle can be loaded; its files are read again only if one has changed.

        A damaged one is compiled again. Until then the state reports it: a worker that has it in
        memory continues to serve it, but a worker that starts cannot.
        """
        folder = bundles_folder(self.settings) / served.bundle
        mark = tuple((path.name, mark_of(path)) for path in sorted(folder.glob("*")))
        if folder.is_dir() and self._proved.get(served.bundle) == mark:
            return True
        try:
            self.prove(folder)
        except MlopsError as error:
            problem = f"version {served.version} is compiled again: {error.message}"
            if served.bundle not in self._failures:
                logger.error("%s", problem)
                state = _last_state(self.settings)
                write_state(self.settings.served, state.model_copy(update={"problem": problem}))
                self._announced = True
            return False
        self._proved[served.bundle] = mark
        return True

    def _clean(self, state: ServingState) -> None:
        """Remove bundles that nobody refers to, but for the last few."""
        used = {served.bundle for served in (state.champion, state.beside) if served}
        folder = bundles_folder(self.settings)
        try:
            others = [path for path in folder.glob("v*") if path.name not in used]
            others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:
            return
        for path in others[KEPT_BUNDLES:]:
            shutil.rmtree(path, ignore_errors=True)


def bundles_folder(settings: Settings) -> Path:
    """Return the folder of all bundles."""
    return settings.served / "bundles"


def bundle_name(info: VersionInfo) -> str:
    """Name the bundle of a version: another model or other code has another name."""
    return f"v{info.version}-{info.model_id[:12]}-{_compiler()}"


def _compiler() -> str:
    """Name the code that makes bundles: another one makes other bundles of the same model."""
    return fingerprints.of_code("data", "datasets", "inference", "serving", "training")[:8]


def run_follower(settings: Settings) -> None:
    """Follow the registry until the supervisor ends."""
    from mlops.registry.connection import load_mlflow
    from mlops.registry.versions import Registry
    from mlops.serving.log.reading import compact_log
    from mlops.serving.model import compilation  # noqa: F401 - for the children, which are forked

    load_mlflow()
    logging.getLogger("alembic").setLevel(logging.WARNING)

    def open_registry(settings: Settings) -> Registry:
        return Registry(settings)

    follower = RegistryFollower(settings, open_registry, compile_apart)
    supervisor, tidied = os.getppid(), time.monotonic()
    mine = _claim(settings.served)  # freed by the operating system with this process
    while os.getppid() == supervisor:
        try:
            if mine():
                follower.step()
        except Exception:  # e.g. the disk is full
            logger.exception("the state cannot be written; what is served stays")
        if time.monotonic() - tidied > 3600:
            tidied = time.monotonic()
            try:
                compact_log(settings)
            except DamagedFileError as error:
                logger.error("the prediction log cannot be compacted: %s", error.in_one_line)
            except Exception:
                logger.exception("the prediction log cannot be compacted")
        time.sleep(settings.serving.poll_seconds)


def _claim(served: Path) -> Callable[[], bool]:
    """Return whether this process follows for the folder: of several servers, one does."""
    served.mkdir(parents=True, exist_ok=True)
    lock = os.open(served / "follower.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def mine() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return mine


def _last_state(settings: Settings) -> ServingState:
    try:
        found = read_state(settings.served)
    except DamagedFileError as error:
        logger.error("%s; it is rewritten", error.message)
        found = None
    return found or ServingState(updated_at=datetime.now(timezone.utc), problem="starting")


def _report(old: ServingState, new: ServingState) -> None:
    if new.problem and new.problem != old.problem:
        logger.error("%s", new.problem)
    if new.champion != old.champion and new.champion:
        logger.info("champion is version %d", new.champion.version)
    if new.rollout != old.rollout:
        logger.info("rollout: %s", new.rollout or "none")


def _said(error: BaseException) -> str:
    if isinstance(error, MlopsError):
        return error.in_one_line
    return f"{type(error).__name__}: {error}"
