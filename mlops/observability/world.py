"""Everything the tables and metrics are made from, each part read when first asked for.

Readers are imported where they are used: a page that shows a table must not load them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd

from mlops.observability.memory import Memory, Part, Stamp, stamp_of
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.backtest.summary import Result as BacktestResult
    from mlops.data.references import TrainingSetManifest
    from mlops.deployment.records import DeploymentRecord
    from mlops.monitoring.records import DecisionRecord, WindowRecord
    from mlops.orchestration.history import TriggerState
    from mlops.registry.rollout import Rollout
    from mlops.registry.trail import Promotion
    from mlops.registry.versions import Registry, VersionInfo
    from mlops.retraining.records import PendingApproval, RetrainingRecord

T = TypeVar("T")

RUN_DAYS: Final = 30  # how far back runs are looked at
CLOCK: Final = timedelta(minutes=5)  # tables that tell the time are made again only so often
_TIME: Final = "datetime64[us, UTC]"
RUN_COLUMNS: Final = {
    "run": "int64",
    "pipeline": "object",
    "trigger": "object",  # None for a run without one
    "status": "object",  # initial, running, completed, failed, cancelled
    "created_at": _TIME,
    "started_at": _TIME,
    "ended_at": _TIME,
    "seconds": "float64",  # from start to end; NaN before the end
}
BLOCK_COLUMNS: Final = {
    "run": "int64",
    "pipeline": "object",
    "block": "object",  # `name`, or `name:child` of a dynamic block
    "status": "object",  # as of runs, and queued, upstream_failed, condition_failed
    "started_at": _TIME,
    "ended_at": _TIME,
    "seconds": "float64",
    "error": "object",  # a line; empty unless it failed
}
TOTAL_COLUMNS: Final = {
    "pipeline": "object",
    "status": "object",
    "runs": "int64",  # ever
    "last_at": _TIME,  # when the last of them ended
}


class World:
    """The project as one refresh finds it.

    Args:
        settings: The configuration.
        now: The present, with time zone; by default it is.
        memory: Of the refreshes before; by default none.
        **known: Parts that need not be read, by name: for tests, and for reports on the past.
    """

    def __init__(
        self,
        settings: Settings,
        now: datetime | None = None,
        memory: Memory | None = None,
        **known: Any,
    ) -> None:
        unknown = set(known) - {part.name for part in PARTS}
        if unknown:
            raise TypeError(f"there are no such parts: {', '.join(sorted(unknown))}")
        self.settings = settings
        self.used: dict[Part[Any], Stamp] = {}  # parts asked for, until somebody empties it
        self.at = now or datetime.now(timezone.utc)  # tables use `now`, which is noted
        self._memory = memory or Memory()
        self._known: Mapping[str, Any] = known
        self._stamps: dict[Callable[[World], Stamp], Stamp] = {}
        self._failed: dict[Callable[[World], Any], Exception] = {}

    def read(self, part: Part[T]) -> T:
        """Return a part, read only if it has changed since the last refresh.

        A table that needs more than the properties below defines a `Part` of its own.
        """
        if part.name in self._known:
            given: T = self._known[part.name]
            return given
        self.used[part] = object()  # equals no stamp: what fails is tried again next time
        stamp = self.stamp(part.stamp)
        seen = self._memory.values.get(part.name)
        if seen is None or seen[0] != stamp:
            seen = self._memory.values[part.name] = (stamp, self._once(part.read))
        self.used[part] = stamp
        found: T = seen[1]
        return found

    def stamp(self, take: Callable[[World], Stamp]) -> Stamp:
        """Return a stamp, taken at most once, however many parts share it."""
        if take not in self._stamps:
            self._stamps[take] = self._once(take)
        return self._stamps[take]

    def _once(self, ask: Callable[[World], T]) -> T:
        """Ask; if that has failed before, fail again: one time-out per refresh is enough."""
        if ask in self._failed:
            raise self._failed[ask]
        try:
            return ask(self)
        except Exception as error:
            self._failed[ask] = error
            raise

    def is_unchanged(self, parts: Mapping[Part[Any], Stamp]) -> bool:
        """Tell whether every part still has the stamp it had."""
        try:
            return all(self.stamp(part.stamp) == stamp for part, stamp in parts.items())
        except Exception:  # whoever reads the part is told why
            return False

    @property
    def now(self) -> datetime:
        """The present, with time zone; a table that uses it is made again every few minutes."""
        self.used[_CLOCK] = self.stamp(_clock)
        return self.at

    @property
    def versions(self) -> tuple[VersionInfo, ...]:
        """All model versions with their evidence, newest first."""
        return self.read(_VERSIONS)

    @property
    def champion(self) -> VersionInfo | None:
        """The version that answers requests."""
        return self.version("champion")

    def version(self, wanted: int | str) -> VersionInfo | None:
        """Return a version by number or alias, or None."""
        return next((v for v in self.versions if wanted in (v.version, *v.aliases)), None)

    @property
    def trail(self) -> tuple[Promotion, ...]:
        """Every change of the champion, newest first."""
        return self.read(_TRAIL)

    @property
    def rollout(self) -> Rollout | None:
        """The canary or shadow in force."""
        return self.read(_ROLLOUT)

    @property
    def runs(self) -> pd.DataFrame:
        """Pipeline runs of the last `RUN_DAYS` days, oldest first: `RUN_COLUMNS`."""
        return self.read(_RUNS)

    @property
    def blocks(self) -> pd.DataFrame:
        """Runs of blocks within these: `BLOCK_COLUMNS`."""
        return self.read(_BLOCKS)

    @property
    def totals(self) -> pd.DataFrame:
        """How many runs each pipeline ever had in each state: `TOTAL_COLUMNS`."""
        return self.read(_TOTALS)

    @property
    def triggers(self) -> Mapping[tuple[str, str], TriggerState]:
        """What Mage knows of each trigger, by pipeline and name."""
        return self.read(_TRIGGERS)

    @property
    def windows(self) -> tuple[WindowRecord, ...]:
        """What monitoring found, the latest window last."""
        return self.read(_WINDOWS)

    @property
    def decisions(self) -> tuple[DecisionRecord, ...]:
        """What monitoring decided, the latest last."""
        return self.read(_DECISIONS)

    @property
    def deployments(self) -> tuple[DeploymentRecord, ...]:
        """Deployments and rollbacks, newest first."""
        return self.read(_DEPLOYMENTS)

    @property
    def retrainings(self) -> tuple[RetrainingRecord, ...]:
        """What each retraining did, oldest first."""
        return self.read(_RETRAININGS)

    @property
    def pending_approval(self) -> PendingApproval | None:
        """The version that waits for somebody to approve it."""
        return self.read(_APPROVAL)

    @property
    def training_set(self) -> TrainingSetManifest | None:
        """The training set published last."""
        return self.read(_TRAINING_SET)

    @property
    def backtest(self) -> BacktestResult | None:
        """The replay of history that was written last."""
        return self.read(_BACKTEST)


def frame_of(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as a frame of exactly these columns and types, however few there are."""
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def _files(*paths: Callable[[Settings], Path]) -> Callable[[World], Stamp]:
    return lambda world: stamp_of(*(path(world.settings) for path in paths))


def _clock(world: World) -> Stamp:
    return int(world.at.timestamp() // CLOCK.total_seconds())


def _is_recorded(world: World) -> bool:
    """Tell whether anything was ever recorded: connecting would create the database."""
    uri = world.settings.tracking_uri
    file = uri.removeprefix("sqlite:///")
    return file == uri or Path(file).exists()


def _registry(world: World) -> Registry | None:
    from mlops.registry.versions import Registry

    return Registry(world.settings) if _is_recorded(world) else None


def _registry_stand(world: World) -> Stamp:
    registry = world.read(_REGISTRY)
    # By the hour as well: evidence that is written anew changes nothing else.
    hour = int(world.at.timestamp() // 3_600)
    return (hour, repr(registry.stand())) if registry else None


def _rollout_stand(world: World) -> Stamp:
    return (_clock(world), world.stamp(_registry_stand))  # it also ends by itself


def _read_versions(world: World) -> tuple[VersionInfo, ...]:
    registry = world.read(_REGISTRY)
    return registry.versions() if registry else ()


def _read_trail(world: World) -> tuple[Promotion, ...]:
    registry = world.read(_REGISTRY)
    return registry.trail() if registry else ()


def _read_rollout(world: World) -> Rollout | None:
    registry = world.read(_REGISTRY)
    return registry.rollout() if registry else None


def _runs_stand(world: World) -> Stamp:
    from mlops.orchestration.history import runs_stand

    return (world.at.date(), runs_stand(world.settings))


def _since(world: World) -> datetime:
    return world.at - timedelta(days=RUN_DAYS)


def _read_runs(world: World) -> pd.DataFrame:
    from mlops.orchestration.history import runs_since

    return _with_seconds(runs_since(world.settings, _since(world)), RUN_COLUMNS)


def _read_blocks(world: World) -> pd.DataFrame:
    from mlops.orchestration.history import blocks_since

    return _with_seconds(blocks_since(world.settings, _since(world)), BLOCK_COLUMNS)


def _with_seconds(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    frame = frame_of(rows, columns)
    return frame.assign(seconds=(frame["ended_at"] - frame["started_at"]).dt.total_seconds())


def _read_totals(world: World) -> pd.DataFrame:
    from mlops.orchestration.history import run_totals

    return frame_of(run_totals(world.settings), TOTAL_COLUMNS)


def _read_triggers(world: World) -> Mapping[tuple[str, str], TriggerState]:
    from mlops.orchestration.history import trigger_states

    return trigger_states(world.settings)


def _read_windows(world: World) -> tuple[WindowRecord, ...]:
    from mlops.monitoring.records import read_windows

    return read_windows(world.settings)


def _read_decisions(world: World) -> tuple[DecisionRecord, ...]:
    from mlops.monitoring.records import read_decisions

    return read_decisions(world.settings)


def _read_deployments(world: World) -> tuple[DeploymentRecord, ...]:
    from mlops.deployment.records import Records

    return tuple(Records(world.settings.deployments).all())


def _read_retrainings(world: World) -> tuple[RetrainingRecord, ...]:
    from mlops.retraining.records import all_records

    return all_records(world.settings)


def _read_approval(world: World) -> PendingApproval | None:
    from mlops.retraining.records import pending_approval

    return pending_approval(world.settings)


def _read_training_set(world: World) -> TrainingSetManifest | None:
    from mlops.data.snapshots import current_training_set

    return current_training_set(world.settings)


def _read_backtest(world: World) -> BacktestResult | None:
    from mlops.backtest.summary import latest_result

    return latest_result(world.settings.backtests)


_CLOCK: Final = Part("now", lambda world: world.at, _clock)
_REGISTRY: Final = Part("registry", _registry, _is_recorded)
_VERSIONS: Final = Part("versions", _read_versions, _registry_stand)
_TRAIL: Final = Part("trail", _read_trail, _registry_stand)
_ROLLOUT: Final = Part("rollout", _read_rollout, _rollout_stand)
_RUNS: Final = Part("runs", _read_runs, _runs_stand)
_BLOCKS: Final = Part("blocks", _read_blocks, _runs_stand)
_TOTALS: Final = Part("totals", _read_totals, _runs_stand)
_TRIGGERS: Final = Part("triggers", _read_triggers, _runs_stand)
_WINDOWS: Final = Part("windows", _read_windows, _files(lambda s: s.monitored / "windows"))
_DECISIONS: Final = Part("decisions", _read_decisions, _files(lambda s: s.monitored / "decisions"))
_DEPLOYMENTS: Final = Part("deployments", _read_deployments, _files(lambda s: s.deployments))
_RETRAININGS: Final = Part(
    "retrainings", _read_retrainings, _files(lambda s: s.home / "runs" / "retraining")
)
_APPROVAL: Final = Part("pending_approval", _read_approval, _files(lambda s: s.home / "runs"))
_TRAINING_SET: Final = Part(
    "training_set", _read_training_set, _files(lambda s: s.store / "training_sets")
)
_BACKTEST: Final = Part("backtest", _read_backtest, _files(lambda s: s.backtests))
PARTS: Final[tuple[Part[Any], ...]] = (
    *(_VERSIONS, _TRAIL, _ROLLOUT),
    *(_RUNS, _BLOCKS, _TOTALS, _TRIGGERS),
    *(_WINDOWS, _DECISIONS),
    *(_DEPLOYMENTS, _RETRAININGS, _APPROVAL, _TRAINING_SET, _BACKTEST),
)
