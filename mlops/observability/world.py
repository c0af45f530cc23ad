"""Everything the tables and metrics are made from, each part read when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from mlops.datasets.opening import dataset_of
from mlops.datasets.wall_clock import instant_of
from mlops.observability import parts
from mlops.observability.memory import Memory, Stamp, WorldPart
from mlops.observability.parts import (
    BLOCK_COLUMNS,
    PARTS,
    RUN_COLUMNS,
    RUN_DAYS,
    TOTAL_COLUMNS,
    frame_of,
)
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.backtest.results import BacktestResult
    from mlops.data.references import TrainingSetManifest
    from mlops.deployment.records import DeploymentRecord
    from mlops.monitoring.findings.records import DecisionRecord, WindowRecord
    from mlops.orchestration.runs.history import TriggerState
    from mlops.registry.rollout import Rollout
    from mlops.registry.trail import Promotion
    from mlops.registry.versions import VersionInfo
    from mlops.retraining.records import PendingApproval, RetrainingRecord

__all__ = ["BLOCK_COLUMNS", "RUN_COLUMNS", "RUN_DAYS", "TOTAL_COLUMNS", "ObservedWorld", "frame_of"]

T = TypeVar("T")


class ObservedWorld:
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
        self.used: dict[WorldPart[Any], Stamp] = {}  # parts asked for, until somebody empties it
        self.at: datetime = now or datetime.now(timezone.utc)  # tables use `now`, which is noted
        self._memory = memory or Memory()
        self._known: Mapping[str, Any] = known
        self._stamps: dict[Callable[[ObservedWorld], Stamp], Stamp] = {}
        self._failed: dict[Callable[[ObservedWorld], Any], Exception] = {}

    def read(self, part: WorldPart[T]) -> T:
        """Return a part, read only if it has changed since the last refresh.

        A table that needs more than the properties below defines a `WorldPart` of its own.
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

    def stamp(self, take: Callable[[ObservedWorld], Stamp]) -> Stamp:
        """Return a stamp, taken at most once, however many parts share it."""
        if take not in self._stamps:
            self._stamps[take] = self._once(take)
        return self._stamps[take]

    def _once(self, ask: Callable[[ObservedWorld], T]) -> T:
        """Ask; if that has failed before, fail again: one time-out per refresh is enough."""
        if ask in self._failed:
            raise self._failed[ask]
        try:
            return ask(self)
        except Exception as error:
            self._failed[ask] = error
            raise

    def is_unchanged(self, seen: Mapping[WorldPart[Any], Stamp]) -> bool:
        """Tell whether every part still has the stamp it had."""
        try:
            return all(self.stamp(part.stamp) == stamp for part, stamp in seen.items())
        except Exception:  # the reader of the part learns why
            return False

    @property
    def now(self) -> datetime:
        """The present, with time zone; a table that uses it is made again every few minutes."""
        self.used[parts.NOW] = self.stamp(parts.clock)
        return self.at

    def instant(self, moment: datetime | None) -> datetime | None:
        """Return when the clocks of the dataset show a moment; None of none."""
        return moment and instant_of(moment, dataset_of(self.settings).zone)

    @property
    def versions(self) -> tuple[VersionInfo, ...]:
        """All model versions with their evidence, newest first."""
        return self.read(parts.VERSIONS)

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
        return self.read(parts.TRAIL)

    @property
    def rollout(self) -> Rollout | None:
        """The canary or shadow in force."""
        return self.read(parts.ROLLOUT)

    @property
    def runs(self) -> pd.DataFrame:
        """Pipeline runs of the last `RUN_DAYS` days, oldest first: `RUN_COLUMNS`."""
        return self.read(parts.RUNS)

    @property
    def blocks(self) -> pd.DataFrame:
        """Runs of blocks within these: `BLOCK_COLUMNS`."""
        return self.read(parts.BLOCKS)

    @property
    def totals(self) -> pd.DataFrame:
        """How many runs each pipeline ever had in each state: `TOTAL_COLUMNS`."""
        return self.read(parts.TOTALS)

    @property
    def triggers(self) -> Mapping[tuple[str, str], TriggerState]:
        """What Mage knows of each trigger, by pipeline and name."""
        return self.read(parts.TRIGGERS)

    @property
    def windows(self) -> tuple[WindowRecord, ...]:
        """What monitoring found, the latest window last; old ones in outline (`read_windows`)."""
        return self.read(parts.WINDOWS)

    @property
    def decisions(self) -> tuple[DecisionRecord, ...]:
        """What monitoring decided, the latest last."""
        return self.read(parts.DECISIONS)

    @property
    def deployments(self) -> tuple[DeploymentRecord, ...]:
        """Deployments and rollbacks, newest first."""
        return self.read(parts.DEPLOYMENTS)

    @property
    def retrainings(self) -> tuple[RetrainingRecord, ...]:
        """What each retraining did, oldest first."""
        return self.read(parts.RETRAININGS)

    @property
    def pending_approval(self) -> PendingApproval | None:
        """The version that waits for somebody to approve it."""
        return self.read(parts.APPROVAL)

    @property
    def training_set(self) -> TrainingSetManifest | None:
        """The training set published last."""
        return self.read(parts.TRAINING_SET)

    @property
    def backtest(self) -> BacktestResult | None:
        """The replay of history that was written last."""
        return self.read(parts.BACKTEST)
