"""Pictures of trained models: how they learned, what their features add, where they are wrong."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlops.counting import decimals_for
from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import (
    BESIDE,
    FULL,
    TALL,
    Drawing,
    FigureSize,
    axes,
    drawn,
    figure,
    headline,
    label,
    legend,
)
from mlops.drawing.palette import BLUE, INK, ROLES, VERMILLION, look

_COLUMNS: Final = 8
_FEATURES: Final = 14
_DIMENSIONS: Final = 3  # whose slices have room beside each other
_FEW_ROWS: Final = 20
_STEEP: Final = 1.35  # errors so many times the best are above the picture
_DARKEST: Final = 0.6  # opacity at which text on it is still legible


@drawn(
    "No candidate with a learning curve is recorded yet: `mlops run` trains boosted trees and"
    " forests."
)
def draw_curves(
    table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the error of each family's best trial as it grew (table `training_curves`)."""
    families = list(dict.fromkeys(table["family"]))[:BESIDE]
    fig = figure(size)
    headline(fig, "Learning curves of the best trials")
    places = np.atleast_1d(fig.subplots(1, len(families)))
    for on, family in zip(places, families, strict=True):
        own = table[table["family"] == family]
        unit, loss = own["unit"].iloc[0], own["loss"].iloc[0]
        label(on, title=family, x=unit, y=words.measured(loss))
        for window in ("train", "validation"):
            mine = own[own["window"] == window]
            if len(mine):
                on.plot(mine["step"], mine["value"], color=ROLES[window], label=window)
        on.xaxis.set_major_locator(MaxNLocator(integer=True))
        seen = own[own["window"] == "validation"]
        best = seen.loc[seen["value"].idxmin()]
        on.plot(best["step"], best["value"], "o", color=VERMILLION, label="best on validation")
        # The first steps are always steep; what they lead to is what is looked at.
        on.set_ylim(top=min(on.get_ylim()[1], _STEEP * float(best["value"])))
        on.annotate(
            f"{best['value']:.3f} after {best['step']}",
            (best["step"], best["value"]),
            xytext=(0, 9),
            textcoords="offset points",
            ha="right",
        )
    legend(fig, max(places, key=lambda on: len(on.lines)))
    return fig


@drawn(
    "No candidate has been explained yet: `mlops run` trains them, and explains all but the"
    " baselines."
)
def draw_contributions(
    table: pd.DataFrame, size: FigureSize = TALL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw features × candidates, coloured by mean |contribution| (table `training_contributions`).

    One candidate alone gets bars.
    """
    means = table.pivot_table(index="feature", columns="family", values="mean")
    means = means[list(dict.fromkeys(table["family"]))[:_COLUMNS]]  # the best first
    means = means.fillna(0.0)
    top = means.mean(axis=1).sort_values(ascending=False).index[:_FEATURES]
    means = means.loc[top]
    fig = figure(size)
    rows = table.drop_duplicates("family").set_index("family")["rows"]
    if means.shape[1] == 1:
        return _contribution_bars(fig, means.iloc[:, 0], int(rows.iloc[0]), words)
    title = f"{words.measured('Mean absolute contribution of each feature')} (exact)"
    on = axes(fig, title=title, x="", y="")
    values = means.to_numpy()
    digits = decimals_for(float(values.max()))
    for y, x in np.ndindex(values.shape):
        shade = to_rgba(BLUE, _DARKEST * values[y, x] / values.max())
        on.barh(y, 0.96, left=x - 0.48, height=0.92, color=shade)
        on.text(x, y, f"{values[y, x]:,.{digits}f}", ha="center", va="center", fontsize=10)
    names = [f"{name.replace('_', chr(10))}\n{words.count(rows[name])}" for name in means.columns]
    on.set_xticks(range(len(names)), names)
    on.set_yticks(range(len(top)), [str(name).replace("_", " ") for name in top])
    on.set_xlim(-0.5, len(names) - 0.5)
    on.set_ylim(len(top) - 0.5, -0.5)
    on.grid(visible=False)
    on.tick_params(length=0)
    on.spines[:].set_visible(False)
    return fig


def _contribution_bars(
    fig: Figure, means: pd.Series[Any], rows: int, words: DatasetWords
) -> Drawing:
    title = f"Contribution of each feature to predictions of {means.name}"
    x = f"{words.measured('mean |contribution|')} (exact, {words.count(rows)})"
    on = axes(fig, title=title, x=x, y="")
    own = means.iloc[::-1]
    bars = on.barh(
        [str(name).replace("_", " ") for name in own.index],
        own,
        color=look(str(means.name)).colour,
    )
    digits = decimals_for(float(own.max()))
    on.bar_label(bars, fmt=f"{{:,.{digits}f}}", padding=4, fontsize=10)
    on.margins(x=0.1)
    on.grid(visible=False)
    on.tick_params(axis="y", length=0)
    return fig


@drawn("No candidate has been measured by slice yet: `mlops run` trains and measures them.")
def draw_residuals(
    table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the best candidate's errors by slice (table `training_residuals`).

    A point is the mean error, its line one standard deviation to both sides. Slices of very few
    rows, whose errors say nothing, are left out.
    """
    best = table[table["rmse"] == table["rmse"].min()]
    family, window = best["family"].iloc[0], best["window"].iloc[0]
    shown = best[best["rows"] >= min(_FEW_ROWS, best["rows"].max())]
    fig = figure(size)
    headline(
        fig,
        f"Errors of {family} on the {window} window: mean, standard deviation; RMSE at the right",
    )
    dimensions = list(dict.fromkeys(best["dimension"]))[:_DIMENSIONS]
    places_beside = np.atleast_1d(fig.subplots(1, len(dimensions), sharex=True))
    for on, dimension in zip(places_beside, dimensions, strict=True):
        own = shown[shown["dimension"] == dimension].iloc[::-1]
        label(on, title=dimension, x=words.measured("predicted - actual"), y="")
        places = np.arange(len(own))
        on.errorbar(
            own["mean"], places, xerr=own["spread"], fmt="o", color=look(family).colour, lw=2.2
        )
        on.axvline(0, color=INK, lw=0.8)
        on.xaxis.set_major_locator(MaxNLocator(5))
        names = [
            f"{name}  ({rows:,})" for name, rows in zip(own["slice"], own["rows"], strict=True)
        ]
        on.set_yticks(places, names)
        on.set_ylim(-0.6, len(own) - 0.4)
        on.grid(visible=False)
        on.grid(visible=True, axis="x")
        on.tick_params(axis="y", length=0)
        for place, rmse in zip(places, own["slice_rmse"], strict=True):
            on.annotate(
                f"{rmse:,.{decimals_for(float(best['rmse'].iloc[0]))}f}",
                (1, place),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
            )
    return fig
