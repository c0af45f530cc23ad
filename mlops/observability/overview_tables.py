"""The tables behind the dashboard Overview: who is champion, how it does, what runs and changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mlops.monitoring.findings.measurements import ALL_ROWS
from mlops.observability import overview_events
from mlops.observability.memory import Stamp, WorldPart, stamp_of
from mlops.observability.parts import ROLLOUT
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.monitoring.findings.records import WindowRecord
    from mlops.monitoring.findings.report import Finding
    from mlops.registry.searches import FinishedSearch

_TIME: Final = "datetime64[us, UTC]"
_SHOWN_WINDOWS: Final = 24
_PAUSE: Final = timedelta(minutes=30)  # longer than any search: another training

CHAMPION: Final = {
    "version": "int64",  # 0: there is none, and the alias in MLflow names one
    "family": "object",
    "promoted_at": _TIME,
    "promoted_by": "object",
    "reason": "object",
    "age_days": "float64",  # since the promotion
    "learned_until": _TIME,  # time of the last row it knows of
    "rmse": "float64",  # on its test window, minutes
    "test_trips": "float64",
    "live_rmse": "float64",  # of its newest window with actual durations, minutes
    "live_low": "float64",  # ends of the 95 % interval
    "live_high": "float64",
    "live_trips": "float64",
    "live_until": _TIME,
    "state": "object",  # ok, warn, retrain, rollback; empty before the first decision
    "state_reason": "object",
    "decided_at": _TIME,
    "challenger": "object",  # version and family; empty if none waits
    "synthetic": "bool",
    "server": "object",  # that its files have changed; empty if not
    "trouble": "object",  # that the alias in MLflow names another, or nobody loads its model
}
SEARCHES: Final = {
    "training": _TIME,  # when it began: searches of one training set without a long pause
    "family": "object",
    "rmse": "float64",  # on the validation window, minutes
    "synthetic": "bool",  # of generated rows: no error of theirs compares with one of real rows
}
LIVE: Final = {
    "window": "object",
    "end": _TIME,
    "version": "int64",
    "family": "object",
    "rmse": "float64",
    "low": "float64",
    "high": "float64",
    "limit": "float64",  # from here on it is an alarm; NaN while it is not judged
    "outcome": "object",
    "labelled": "int64",
}
DRIFT: Final = {
    "window": "object",
    "end": _TIME,
    "version": "int64",
    "feature": "object",
    "statistic": "object",  # the worst of the feature: furthest towards or beyond its limit
    "value": "float64",
    "limit": "float64",
    "ratio": "float64",  # of value and limit; NaN if it cannot be judged
    "outcome": "object",
    "why": "object",
}


def champion(world: ObservedWorld) -> pd.DataFrame:
    """Return the champion and how it does: one row, or none before there is one."""
    info, trouble = world.champion, world.read(_TROUBLE)
    if info is None:
        none = dict.fromkeys(CHAMPION) | {"version": 0, "synthetic": False, "trouble": trouble}
        return frame_of([none] if trouble else [], CHAMPION)
    promoted_at = info.promoted_at or info.created_at
    row: dict[str, Any] = dict.fromkeys(CHAMPION) | {
        "version": info.version,
        "family": info.receipt.family if info.receipt else "",
        "promoted_at": promoted_at,
        "promoted_by": info.promoted_by,
        "reason": info.promotion_reason,
        "age_days": (world.now - promoted_at).total_seconds() / 86_400,
        "state": "",
        "state_reason": "",
        "challenger": _name(world, "challenger"),
        "synthetic": bool(info.receipt and info.receipt.synthetic),
        "server": world.read(_CHANGED_CODE),
        "trouble": trouble,
    }
    if info.receipt and (tested_from := info.receipt.windows["test"].start):
        row["learned_until"] = _utc(tested_from)
    if info.evaluation:
        row |= {"rmse": info.evaluation.metrics.rmse, "test_trips": info.evaluation.metrics.rows}
    for record, found in _live(world):
        if record.version == info.version:
            low, high = found.interval or (None, None)
            row |= {"live_rmse": found.value, "live_low": low, "live_high": high}
            row |= {"live_trips": found.rows, "live_until": record.end}
    for each in (each.decision for each in world.decisions):
        if each.champion.version == str(info.version):
            row |= {"state": each.step, "state_reason": each.reasons[0], "decided_at": each.at}
    return frame_of([row], CHAMPION)


def searches(world: ObservedWorld) -> pd.DataFrame:
    """Return the validation error of each family in each training, the latest last."""
    rows = []
    last: dict[str, datetime] = {}  # search of each training set, and
    began: dict[str, datetime] = {}  # the begin of the training that it is part of
    for each in world.read(READ_SEARCHES):
        before = last.get(each.data_hash)
        if before is None or each.at - before > _PAUSE:
            began[each.data_hash] = each.at
        last[each.data_hash] = each.at
        rows.append(
            {
                "training": began[each.data_hash],
                **each.model_dump(include={"family", "rmse", "synthetic"}),
            }
        )
    return frame_of(rows, SEARCHES).drop_duplicates(["training", "family"], keep="last")


def live_rmse(world: ObservedWorld) -> pd.DataFrame:
    """Return the live error of each window whose actual durations are known, the latest last."""
    families = {v.version: v.receipt.family if v.receipt else "" for v in world.versions}
    rows = []
    for record, found in _live(world):
        low, high = found.interval or (None, None)
        rows.append(
            {
                "window": record.window,
                "end": record.end,
                "version": record.version,
                "family": families.get(record.version, ""),
                "rmse": found.value,
                "low": low,
                "high": high,
                "limit": found.limit,
                "outcome": found.outcome,
                "labelled": found.rows,
            }
        )
    return frame_of(rows[-_SHOWN_WINDOWS:], LIVE)


def drift(world: ObservedWorld) -> pd.DataFrame:
    """Return how far each feature of the latest windows lies from the reference."""
    rows = []
    for record in world.windows[-_SHOWN_WINDOWS:]:
        for feature, found in _by_feature(record.report.findings, world):
            judged = [f for f in found if f.limit and f.outcome != "unjudged"]
            worst = max(judged, key=lambda f: f.value / (f.limit or 1.0), default=found[0])
            rows.append(
                {
                    "window": record.window,
                    "end": record.end,
                    "version": record.version,
                    "feature": feature,
                    "statistic": worst.statistic,
                    "value": worst.value,
                    "limit": worst.limit,
                    "ratio": worst.value / worst.limit if judged and worst.limit else None,
                    "outcome": "alarm"
                    if any(f.outcome == "alarm" for f in found)
                    else worst.outcome,
                    "why": found[0].why,
                }
            )
    return frame_of(rows, DRIFT)


def _by_feature(
    findings: Sequence[Finding], world: ObservedWorld
) -> Iterator[tuple[str, list[Finding]]]:
    """Yield the features in the same order for every window, with what was found, worst first."""
    from mlops.datasets.opening import dataset_of

    for feature in dataset_of(world.settings).watching(world.settings).features:
        found = [f for f in findings if f.subject == feature.name and f.kind in ("drift", "labels")]
        if found:
            yield feature.name, found


def _live(world: ObservedWorld) -> Iterator[tuple[WindowRecord, Finding]]:
    """Yield the windows whose error is known, with what was found of all their rows."""
    for record in world.windows:
        for found in record.report.findings:
            if (found.kind, found.subject, found.statistic) == (
                "performance",
                ALL_ROWS,
                "rmse",
            ):
                yield record, found


def _name(world: ObservedWorld, alias: str) -> str:
    info = world.version(alias)
    if info is None:
        return ""
    mark = " (synthetic rows)" if info.synthetic else ""
    return f"{info.version} {info.receipt.family if info.receipt else ''}{mark}".strip()


def _utc(at: datetime) -> datetime:
    """Rows have the dataset's own time without a zone; on charts it is taken as it is."""
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def _read_searches(world: ObservedWorld) -> tuple[FinishedSearch, ...]:
    from mlops.registry.searches import finished_searches

    uri = world.settings.tracking_uri.removeprefix("sqlite:///")
    if uri != world.settings.tracking_uri and not stamp_of(world.settings.home / "mlflow"):
        return ()
    return finished_searches(world.settings)


def _tracking_stand(world: ObservedWorld) -> Stamp:
    uri = world.settings.tracking_uri
    file = Path(uri.removeprefix("sqlite:///"))
    if str(file) != uri:
        # Not its folder: every connection touches a lock there.
        return stamp_of(file, file.with_name(f"{file.name}-wal"))
    return int(datetime.now(timezone.utc).timestamp() // 60)


def _changed_code(world: ObservedWorld) -> str:
    from mlops.orchestration.engine.changed_code import changed_code

    return changed_code(world.settings)


def _trouble(world: ObservedWorld) -> str:
    from mlops.registry.lookup import champion_trouble

    trouble = champion_trouble(world.settings)
    return trouble.in_one_line if trouble else ""


_CHANGED_CODE: Final = WorldPart("changed code", _changed_code, _changed_code)
# Not by reading it: each connection touches the file by which searches are known to have changed.
_TROUBLE: Final = WorldPart("trouble with the champion", _trouble, ROLLOUT.stamp)
READ_SEARCHES: Final = WorldPart("searches", _read_searches, _tracking_stand)

TABLES: Final[Mapping[str, ObservedTable]] = {
    "champion": ObservedTable(CHAMPION, champion),
    "searches": ObservedTable(SEARCHES, searches),
    "live_rmse": ObservedTable(LIVE, live_rmse),
    "drift": ObservedTable(DRIFT, drift),
    **overview_events.TABLES,
}
