"""The tables of what happened lately: selection and verdict, runs, deployments, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from mlops.observability.memory import WorldPart, stamp_of
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.registry.selections import Selection

_TIME: Final = "datetime64[us, UTC]"
_SHOWN_EVENTS: Final = 12
_RUN_DAYS: Final = 14

CANDIDATES: Final = {
    "family": "object",
    "role": "object",  # winner, baseline, failed or empty
    "synthetic": "bool",  # learned from generated rows
    "validation_rmse": "float64",
    "rmse": "float64",
    "mae": "float64",
    "mape": "float64",
    "r2": "float64",
    "p90_error": "float64",
    "trials": "float64",
    "seconds": "float64",
}
GATE: Final = {
    "rule": "object",
    "value": "float64",
    "sense": "object",
    "limit": "float64",
    "unit": "object",
    "outcome": "object",  # passed or refused
    "why": "object",
    "winner": "object",
}
DEPLOYMENTS: Final = {
    "at": _TIME,
    "kind": "object",
    "version": "int64",
    "previous": "object",
    "state": "object",
    "by": "object",
    "reason": "object",
    "summary": "object",
}
RUNS: Final = {"day": _TIME, "pipeline": "object", "status": "object", "runs": "int64"}
DECISIONS: Final = {
    "at": _TIME,
    "step": "object",
    "version": "object",
    "reason": "object",
    "followed": "object",  # what was started, or what to type
}


def candidates(world: ObservedWorld) -> pd.DataFrame:
    """Return the candidates of the last selection, best validation error first, failures last."""
    last = world.read(_SELECTION)
    rows = []
    for each in last.candidates if last else ():
        role = "winner" if last and each.family == last.winner else "baseline" * each.baseline
        measured = each.metrics.model_dump(exclude={"rows", "bias"}) if each.metrics else {}
        named = each.model_dump(include={"family", "validation_rmse", "trials", "seconds"})
        rows.append(
            dict.fromkeys(CANDIDATES)
            | named
            | measured
            | {"role": "failed" if each.error else role}
            | {"synthetic": bool(last and last.receipt.synthetic)}
        )
    return frame_of(rows, CANDIDATES)


def gate(world: ObservedWorld) -> pd.DataFrame:
    """Return the rules of the gate as they judged the last winner."""
    last = world.read(_SELECTION)
    rows = [
        rule.model_dump(exclude={"passed"})
        | {"outcome": "passed" if rule.passed else "refused", "winner": last.winner}
        for rule in (last.verdict.rules if last else ())
        if last
    ]
    return frame_of(rows, GATE)


def deployments(world: ObservedWorld) -> pd.DataFrame:
    """Return the last deployments and rollbacks, newest first."""
    rows = [
        {
            "at": record.started_at,
            "kind": record.kind,
            "version": record.version,
            "previous": "" if record.from_version is None else str(record.from_version),
            "state": record.state.replace("_", " "),
            "by": record.by,
            "reason": record.reason,
            "summary": record.summary,
        }
        for record in world.deployments[:_SHOWN_EVENTS]
    ]
    return frame_of(rows, DEPLOYMENTS)


def runs(world: ObservedWorld) -> pd.DataFrame:
    """Return how many runs of each pipeline began on each of the last days, by state."""
    since = pd.Timestamp(world.now).normalize() - timedelta(days=_RUN_DAYS - 1)
    recent = world.runs[world.runs["created_at"] >= since]
    counted = recent.assign(day=recent["created_at"].dt.normalize())
    return counted.groupby(["day", "pipeline", "status"], as_index=False).agg(runs=("run", "count"))


def decisions(world: ObservedWorld) -> pd.DataFrame:
    """Return the last decisions of monitoring and what followed, newest first."""
    rows = []
    for record in reversed(world.decisions[-_SHOWN_EVENTS:]):
        run = "" if record.started_run is None else f", run {record.started_run}"
        typed = f"`{record.command}`" if record.command else ""
        started = f"started {record.started}{run}" if record.started else ""
        rows.append(
            {
                "at": record.decision.at,
                "step": record.decision.step,
                "version": record.decision.champion.version,
                "reason": record.decision.reasons[0],
                "followed": started or record.problem or typed,
            }
        )
    return frame_of(rows, DECISIONS)


def _read_selection(world: ObservedWorld) -> Selection | None:
    from mlops.registry.selections import read_selection

    return read_selection(world.settings)


_SELECTION: Final = WorldPart(
    "selection", _read_selection, lambda world: stamp_of(world.settings.selections)
)

TABLES: Final[Mapping[str, ObservedTable]] = {
    "candidates": ObservedTable(CANDIDATES, candidates),
    "gate": ObservedTable(GATE, gate),
    "deployments": ObservedTable(DEPLOYMENTS, deployments),
    "runs": ObservedTable(RUNS, runs),
    "decisions": ObservedTable(DECISIONS, decisions),
}
