"""What the world consists of: how each part is read, and how one tells that it has changed.

Readers are imported where they are used: a page that shows a table must not load them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mlops.observability.memory import Stamp, WorldPart, stamp_of
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.backtest.results import BacktestResult
    from mlops.data.references import TrainingSetManifest
    from mlops.deployment.records import DeploymentRecord
    from mlops.monitoring.findings.records import DecisionRecord, WindowRecord
    from mlops.observability.world import ObservedWorld
    from mlops.orchestration.runs.history import TriggerState
    from mlops.registry.rollout import Rollout
    from mlops.registry.trail import Promotion
    from mlops.registry.versions import Registry, VersionInfo
    from mlops.retraining.records import PendingApproval, RetrainingRecord

RUN_DAYS: Final = 30  # how far back runs are looked at
WHOLE_WINDOWS: Final = 100  # windows of which every finding is read; of older ones, an outline
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


def frame_of(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as a frame of exactly these columns and types, however few there are."""
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def _files(*paths: Callable[[Settings], Path]) -> Callable[[ObservedWorld], Stamp]:
    return lambda world: stamp_of(*(path(world.settings) for path in paths))


def clock(world: ObservedWorld) -> Stamp:
    """Return the stamp of the present: it differs every few minutes."""
    return int(world.at.timestamp() // CLOCK.total_seconds())


def _is_recorded(world: ObservedWorld) -> bool:
    """Tell whether anything was ever recorded: connecting would create the database."""
    uri = world.settings.tracking_uri
    file = uri.removeprefix("sqlite:///")
    return file == uri or Path(file).exists()


def _registry(world: ObservedWorld) -> Registry | None:
    from mlops.registry.versions import Registry

    return Registry(world.settings) if _is_recorded(world) else None


def _registry_stand(world: ObservedWorld) -> Stamp:
    registry = world.read(REGISTRY)
    # By the hour as well: evidence that is written anew changes nothing else.
    hour = int(world.at.timestamp() // 3_600)
    return (hour, repr(registry.stand())) if registry else None


def _rollout_stand(world: ObservedWorld) -> Stamp:
    return (clock(world), world.stamp(_registry_stand))  # it also ends by itself


def _read_versions(world: ObservedWorld) -> tuple[VersionInfo, ...]:
    registry = world.read(REGISTRY)
    return registry.versions() if registry else ()


def _read_trail(world: ObservedWorld) -> tuple[Promotion, ...]:
    registry = world.read(REGISTRY)
    return registry.trail() if registry else ()


def _read_rollout(world: ObservedWorld) -> Rollout | None:
    registry = world.read(REGISTRY)
    return registry.rollout() if registry else None


def _runs_stand(world: ObservedWorld) -> Stamp:
    from mlops.orchestration.runs.history import runs_stand

    return (world.at.date(), runs_stand(world.settings))


def _since(world: ObservedWorld) -> datetime:
    return world.at - timedelta(days=RUN_DAYS)


def _read_runs(world: ObservedWorld) -> pd.DataFrame:
    from mlops.orchestration.runs.history import runs_since

    return _with_seconds(runs_since(world.settings, _since(world)), RUN_COLUMNS)


def _read_blocks(world: ObservedWorld) -> pd.DataFrame:
    from mlops.orchestration.runs.history import blocks_since

    return _with_seconds(blocks_since(world.settings, _since(world)), BLOCK_COLUMNS)


def _with_seconds(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    frame = frame_of(rows, columns)
    return frame.assign(seconds=(frame["ended_at"] - frame["started_at"]).dt.total_seconds())


def _read_totals(world: ObservedWorld) -> pd.DataFrame:
    from mlops.orchestration.runs.history import run_totals

    return frame_of(run_totals(world.settings), TOTAL_COLUMNS)


def _read_triggers(world: ObservedWorld) -> Mapping[tuple[str, str], TriggerState]:
    from mlops.orchestration.runs.history import trigger_states

    return trigger_states(world.settings)


def _read_windows(world: ObservedWorld) -> tuple[WindowRecord, ...]:
    from mlops.monitoring.findings.records import read_windows

    return read_windows(world.settings, whole=WHOLE_WINDOWS)


def _read_decisions(world: ObservedWorld) -> tuple[DecisionRecord, ...]:
    from mlops.monitoring.findings.records import read_decisions

    return read_decisions(world.settings)


def _read_deployments(world: ObservedWorld) -> tuple[DeploymentRecord, ...]:
    from mlops.deployment.records import Records

    return tuple(Records(world.settings.deployments).all())


def _read_retrainings(world: ObservedWorld) -> tuple[RetrainingRecord, ...]:
    from mlops.retraining.records import all_records

    return all_records(world.settings)


def _read_approval(world: ObservedWorld) -> PendingApproval | None:
    from mlops.retraining.records import pending_approval

    return pending_approval(world.settings)


def _read_training_set(world: ObservedWorld) -> TrainingSetManifest | None:
    from mlops.data.store.manifests import current_training_set

    return current_training_set(world.settings)


def _read_backtest(world: ObservedWorld) -> BacktestResult | None:
    from mlops.backtest.results import latest_result

    return latest_result(world.settings.backtests)


NOW: Final = WorldPart("now", lambda world: world.at, clock)
REGISTRY: Final = WorldPart("registry", _registry, _is_recorded)
VERSIONS: Final = WorldPart("versions", _read_versions, _registry_stand)
TRAIL: Final = WorldPart("trail", _read_trail, _registry_stand)
ROLLOUT: Final = WorldPart("rollout", _read_rollout, _rollout_stand)
RUNS: Final = WorldPart("runs", _read_runs, _runs_stand)
BLOCKS: Final = WorldPart("blocks", _read_blocks, _runs_stand)
TOTALS: Final = WorldPart("totals", _read_totals, _runs_stand)
TRIGGERS: Final = WorldPart("triggers", _read_triggers, _runs_stand)
WINDOWS: Final = WorldPart("windows", _read_windows, _files(lambda s: s.monitored / "windows"))
DECISIONS: Final = WorldPart(
    "decisions", _read_decisions, _files(lambda s: s.monitored / "decisions")
)
DEPLOYMENTS: Final = WorldPart("deployments", _read_deployments, _files(lambda s: s.deployments))
RETRAININGS: Final = WorldPart("retrainings", _read_retrainings, _files(lambda s: s.retrainings))
APPROVAL: Final = WorldPart("pending_approval", _read_approval, _files(lambda s: s.runs))
TRAINING_SET: Final = WorldPart(
    "training_set", _read_training_set, _files(lambda s: s.store / "training_sets")
)
BACKTEST: Final = WorldPart("backtest", _read_backtest, _files(lambda s: s.backtests))
PARTS: Final[tuple[WorldPart[Any], ...]] = (
    *(VERSIONS, TRAIL, ROLLOUT),
    *(RUNS, BLOCKS, TOTALS, TRIGGERS),
    *(WINDOWS, DECISIONS),
    *(DEPLOYMENTS, RETRAININGS, APPROVAL, TRAINING_SET, BACKTEST),
)
