"""The pictures of what happened lately: selection and verdict, runs, deployments, decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import HALF, Drawing, FigureSize, axes, drawn, figure, legend
from mlops.drawing.html import family_html, table_html
from mlops.drawing.palette import state_colour

_MINUTE: Final = "%Y-%m-%d %H:%M"
_FIRST: Final = "`mlops run` trains and registers the first model."
_SENSES: Final = {"<=": "≤", ">=": "≥"}
# The worst state of a day's runs decides the colour of its cell.
_SEVERITY: Final = ("failed", "running", "initial", "cancelled", "completed")


@drawn(f"No candidates have been compared yet: {_FIRST}")
def draw_candidates(table: pd.DataFrame, words: DatasetWords = PLAIN) -> Drawing:
    """Show the candidates of the last selection (table `candidates`)."""
    return table_html(
        table.assign(
            mape=100 * table["mape"],
            family=table["family"].map(family_html),
            learned=table["synthetic"].map({True: "synthetic", False: "real"}),
        ),
        {
            "family": "candidate",
            "role": "",
            "learned": f"learned from {words.rows}",
            "validation_rmse": words.behind("validation RMSE"),
            "rmse": words.behind("test RMSE"),
            "mae": words.behind("MAE"),
            "mape": "MAPE, %",
            "r2": "R²",
            "p90_error": words.behind("P90 error"),
            "trials": "trials",
        },
        {
            **dict.fromkeys(("validation_rmse", "rmse", "mae", "r2"), ".3f"),
            **dict.fromkeys(("mape", "p90_error"), ".1f"),
            "trials": ".0f",
        },
        states=("role",),
        tight=("family",),
    )


@drawn(f"The gate has judged nothing yet: {_FIRST}")
def draw_gate(table: pd.DataFrame) -> Drawing:
    """Show how the gate judged the last winner, rule by rule (table `gate`)."""
    shown = table.assign(
        value=[
            _in_unit(value, unit) for value, unit in zip(table["value"], table["unit"], strict=True)
        ],
        limit=[
            f"{_SENSES.get(sense, sense)} {_in_unit(limit, unit)}"
            for sense, limit, unit in zip(
                table["sense"], table["limit"], table["unit"], strict=True
            )
        ],
    )
    return table_html(
        shown,
        {"rule": "rule", "outcome": "verdict", "value": "value", "limit": "limit", "why": "why"},
        states=("outcome",),
        tight=("value", "limit"),
    )


@drawn("No pipeline has run in the last days: `mlops run` runs the main ones.")
def draw_runs(table: pd.DataFrame, size: FigureSize = HALF, now: datetime | None = None) -> Drawing:
    """Draw pipelines × days, coloured by the worst state of the day's runs (table `runs`)."""
    pipelines = sorted(table["pipeline"].unique())
    last = table["day"].max()
    if now is not None:  # the picture ends today, however long ago the last run was
        last = max(last, pd.Timestamp(now).normalize())
    days = pd.date_range(last - pd.Timedelta(days=13), last)
    fig = figure(FigureSize(size.width, max(size.height, 64 + 21 * len(pipelines))))
    on = axes(fig, title="Runs by day, failed runs first", x="", y="")
    groups: Any = table.groupby(["day", "pipeline"])
    for (day, pipeline), own in groups:
        if day not in days:
            continue
        counts = own.set_index("status")["runs"]
        worst = next((state for state in _SEVERITY if state in counts), str(counts.index[0]))
        total = int(counts.sum())
        text = f"{counts[worst]}/{total}" if worst == "failed" else f"{total}"
        x, y = float((day - days[0]).days), pipelines.index(pipeline)
        on.barh(y, 0.86, left=x - 0.43, height=0.74, color=state_colour(worst))
        on.text(x, y, text, ha="center", va="center", color="white", fontsize=9)
    on.set_xlim(-0.5, len(days) - 0.5)
    on.set_ylim(len(pipelines) - 0.4, -0.6)
    places = range(1, len(days), 2)
    on.set_xticks(list(places), [f"{days[i]:%d %b}" for i in places])
    on.set_yticks(range(len(pipelines)), pipelines)
    on.grid(visible=False)
    on.tick_params(length=0)
    on.spines[:].set_visible(False)
    for state in ("completed", "running", "failed", "cancelled"):
        on.plot([], [], "s", markersize=9, color=state_colour(state), label=state)
    legend(fig, on)
    return fig


@drawn(
    "Nothing has been deployed yet: `mlops deploy VERSION` tests a version, watches it and promotes"
    " it; `mlops models` lists the versions."
)
def draw_deployments(table: pd.DataFrame) -> Drawing:
    """Show the last deployments and rollbacks (table `deployments`)."""
    version = [
        f"{before} → {after}" if before else str(after)
        for before, after in zip(table["previous"], table["version"], strict=True)
    ]
    return table_html(
        table.assign(version=version),
        {
            "at": "began, UTC",
            "kind": "kind",
            "version": "version",
            "state": "state",
            "by": "asked by",
            "summary": "last step",
        },
        {"at": _MINUTE},
        states=("state",),
        tight=("at", "version"),
    )


@drawn(
    "Monitoring has decided nothing yet: `mlops monitor` measures the newest answers and decides"
    " what to do."
)
def draw_decisions(table: pd.DataFrame) -> Drawing:
    """Show the last decisions of monitoring and what followed (table `decisions`)."""
    return table_html(
        table,
        {
            "at": "decided, UTC",
            "step": "decision",
            "version": "champion",
            "reason": "why",
            "followed": "what followed",
        },
        {"at": _MINUTE},
        states=("step",),
        tight=("at",),
    )


def _in_unit(value: float, unit: str) -> str:
    if np.isnan(value):
        return "–"
    if unit == "%":
        return f"{round(100 * value, 1) + 0.0:.1f} %"  # never -0.0
    return f"{value:.4g} {unit}".strip()
