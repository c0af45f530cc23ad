"""Many steps in few numbers: per policy its totals, and how models aged under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops.backtest.results import (
    CURRENT,
    RESULT_FILE,
    Aged,
    Aging,
    BacktestResult,
    ReplayStep,
    Totals,
)
from mlops.records.atomic import atomic_folder
from mlops.records.files import write_pointer, write_record


def totals_of(steps: Sequence[ReplayStep]) -> tuple[Totals, ...]:
    """Sum up each policy, in the order of the steps."""
    return tuple(
        Totals(
            policy=policy,
            months=len(own),
            mean_live_rmse=_mean([step.live.rmse for step in own]),
            worst_live_rmse=max(step.live.rmse for step in own),
            mean_coverage=_mean([step.live.coverage for step in own]),
            retrainings=sum(step.challenger is not None for step in own),
            promotions=sum(step.promoted for step in own),
            training_seconds=sum(step.training_seconds for step in own),
            mean_age_months=_mean([step.age_months for step in own]),
        )
        for policy, own in _by_policy(steps).items()
    )


def staleness_of(steps: Sequence[ReplayStep]) -> tuple[Aged, ...]:
    """Pool the months of each policy by the age of the model that answered."""
    curve = []
    for policy, own in _by_policy(steps).items():
        for age in sorted({step.age_months for step in own}):
            live = [step.live for step in own if step.age_months == age]
            rows = np.array([each.rows for each in live])
            squared = np.array([each.rmse**2 for each in live])
            rmse = float(np.sqrt((rows * squared).sum() / rows.sum()))
            curve.append(
                Aged(
                    policy=policy,
                    age_months=age,
                    months=len(live),
                    trips=int(rows.sum()),
                    rmse=rmse,
                )
            )
    return tuple(curve)


def step_rows(steps: Sequence[ReplayStep], plural: str = "trips") -> list[dict[str, Any]]:
    """Lay the steps out as a table, one row per policy and month; ``plural`` names what came."""
    return [
        {
            "policy": step.policy,
            "month": step.month,
            "rmse": step.live.rmse,
            "mae": step.live.mae,
            "bias": step.live.bias,
            "coverage": step.live.coverage,
            plural: step.live.rows,
            "age": step.age_months,
            "learned_until": f"{step.learned_until:%Y-%m-%d}",
            "drift": _windows(step.signals.drift.windows),
            "errors": _windows(step.signals.performance.windows),
            "retrained": _retrained(step),
            "gate": step.verdict,
        }
        for step in steps
    ]


def excess_by_age(aging: Sequence[Aging]) -> dict[int, float]:
    """Return by age how much worse models are than the newest one, on average over months."""
    ages = sorted({each.age_months for each in aging})
    return {age: _mean([a.excess for a in aging if a.age_months == age]) for age in ages}


def write_result(result: BacktestResult, folder: Path, chart: Mapping[str, bytes]) -> None:
    """Write a result as JSON, small parquet tables and charts: the folder appears whole.

    Args:
        result: What to write.
        folder: To create or replace; a file beside it names the latest.
        chart: File name to content.
    """

    def write(target: Path) -> None:
        write_record(target / RESULT_FILE, result)
        tables = {"steps": step_rows(result.steps, result.plural)}
        tables |= {
            name: [row.model_dump() for row in rows]
            for name, rows in (
                ("totals", result.totals),
                ("staleness", result.staleness),
                ("aging", result.aging),
            )
        }
        for name, rows in tables.items():
            pd.DataFrame(rows).to_parquet(target / f"{name}.parquet", index=False)
        for name, content in chart.items():
            (target / name).write_bytes(content)

    atomic_folder(folder, write)
    write_pointer(folder.parent / CURRENT, folder.name)


def _by_policy(steps: Sequence[ReplayStep]) -> dict[str, list[ReplayStep]]:
    policies: dict[str, list[ReplayStep]] = {}
    for step in steps:
        policies.setdefault(step.policy, []).append(step)
    return policies


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _windows(violated: Sequence[bool]) -> str:
    """Show windows in order of time: ``··x·``."""
    return "".join("x" if each else "·" for each in violated)


def _retrained(step: ReplayStep) -> str:
    if step.challenger is None:
        return "wanted" if step.retrain else "no"
    return "promoted" if step.promoted else "refused"
