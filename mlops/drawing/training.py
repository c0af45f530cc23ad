"""The pictures of the dashboards Training: how candidates were found, learned, and where they fail.

Every function takes the table of all training pipelines and draws the part of one of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from scipy import stats

from mlops.drawing.frame import FULL, HALF, Drawing, Size, axes, drawn, figure, label, legend
from mlops.drawing.palette import BLUE, GREY, INK, ROLES, VERMILLION, look

TALL: Final = Size(HALF.width, 420)
_FEATURES: Final = 14  # in one picture
_SLICES: Final = ("pickup borough", "hour", "distance")  # what the picture has room for
# What one picture has room for, of the best candidates.
_BESIDE: Final = 5
_COLUMNS: Final = 8
_PARAMETERS: Final = 6
_FEW_TRIPS: Final = 20
_STEEP: Final = 1.35  # errors so many times the best are above the picture
_DARKEST: Final = 0.6  # opacity at which text on it is still legible


@functools.cache  # the same function for the same arguments: what it draws is remembered by it
def for_pipeline(
    draw: Callable[[pd.DataFrame], Drawing], pipeline: str
) -> Callable[[pd.DataFrame], Drawing]:
    """Return a drawing function of one pipeline's rows."""
    return lambda table: draw(table[table["pipeline"] == pipeline])


@drawn("No candidate is recorded yet: `mlops run` trains all of them.")
def draw_searched(table: pd.DataFrame, size: Size = HALF) -> Drawing:
    """Draw the validation error of each candidate (table `training_candidates`)."""
    made = figure(size)
    run = f"Candidates of run {table['run'].iloc[0]}, {table['at'].max():%Y-%m-%d %H:%M} UTC"
    on = axes(made, title=run, x="RMSE on the validation window, minutes", y="")
    own = table.sort_values("rmse", ascending=False)
    places = np.arange(len(own))
    colours = [look(family).colour for family in own["family"]]
    bars = on.barh(places, own["rmse"], height=0.66, color=colours)
    rows: Any = own.itertuples(index=False)
    texts = [
        f"{row.rmse:.3f} · {row.trials} {'trial' if row.trials == 1 else 'trials'},"
        f" {row.seconds:,.1f} s" + (" · baseline" if row.baseline else "")
        for row in rows
    ]
    on.bar_label(bars, texts, padding=5)
    on.set_yticks(places, own["family"])
    on.set_xlim(0, own["rmse"].max() * 1.65)  # room for the words
    on.tick_params(axis="y", length=0)
    on.grid(visible=False)
    return made


@drawn("No search is recorded yet: `mlops run` searches every family.")
def draw_trials(table: pd.DataFrame, size: Size = HALF) -> Drawing:
    """Draw each trial as a point and the best so far as a line (table `training_trials`)."""
    made = figure(size)
    on = axes(
        *(made,), title="Trials, and the best so far", x="trial of the search", y="RMSE, minutes"
    )
    own = _learned(table)
    for family, mine in _best_first(own):
        style = look(family)
        on.plot(mine["trial"], mine["rmse"], style.marker, color=style.colour, alpha=0.55)
        _steps(on, mine["trial"], mine["best"], family)
    _hide_far_trials(on, own)
    on.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(made, on)
    return made


@drawn("No search is recorded yet: `mlops run` searches every family.")
def draw_pace(table: pd.DataFrame, size: Size = TALL) -> Drawing:
    """Draw the best error so far against the time it took (table `training_trials`)."""
    made = figure(size)
    on = axes(
        made,
        title="What search time brings",
        x="search time, seconds (logarithmic)",
        y="best RMSE so far, minutes",
    )
    own = _learned(table)
    on.set_xscale("log")
    for family, mine in _best_first(own):
        _steps(on, mine["elapsed"], mine["best"], family)
        # What is found when the search is over; a single trial has no line.
        last = mine.iloc[-1]
        on.plot(last["elapsed"], last["best"], look(family).marker, color=look(family).colour)
    on.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    on.xaxis.set_major_formatter("{x:g}")
    on.xaxis.set_minor_locator(NullLocator())
    legend(made, on)
    return made


def _learned(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the baselines: they are not searched, and far off on purpose."""
    return table if table["baseline"].all() else table[~table["baseline"]]


def _best_first(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    order = table.groupby("family")["best"].min().sort_values().index
    return [(str(family), table[table["family"] == family]) for family in order]


def _steps(on: Axes, x: pd.Series[Any], y: pd.Series[Any], family: str) -> None:
    style = look(family)
    on.step(x, y, where="post", linestyle=style.dash, color=style.colour, marker=None, label=family)


def _hide_far_trials(on: Axes, table: pd.DataFrame) -> None:
    """Let the scale hold every best so far; say how many trials are above it or failed."""
    low, high = table["best"].min(), table["best"].max()
    top = high + 0.15 * max(high - low, 0.1)
    on.set_ylim(top=top)
    failed, beyond = int(table["rmse"].isna().sum()), int((table["rmse"] > top).sum())
    said = [f"{beyond} above the scale"] * bool(beyond) + [f"{failed} failed"] * bool(failed)
    if said:
        on.set_xlabel(f"{on.get_xlabel()} ({', '.join(said)})")


@drawn(
    "No search has varied a parameter often enough yet: `mlops run` searches every family,"
    " and `--set training.max_evals=20` longer."
)
def draw_parameters(table: pd.DataFrame, size: Size = FULL) -> Drawing:
    """Draw which hyperparameters went along with the loss (table `training_parameters`)."""
    families = list(dict.fromkeys(table["family"]))[:_BESIDE]
    most = min(int(table.groupby("family").size().max()), _PARAMETERS)
    made = figure(size)
    _headline(made, "Parameters that mattered: rank correlation with the loss of a trial")
    places = np.atleast_1d(made.subplots(1, len(families), sharex=True))
    for on, family in zip(places, families, strict=True):
        own = table[table["family"] == family]
        own = own.reindex(own["correlation"].abs().sort_values().index[-_PARAMETERS:])
        limit = _chance(int(own["trials"].iloc[0]))
        label(on, title=family, x=f"{own['trials'].iloc[0]} trials", y="")
        matters = own["correlation"].abs() > limit
        colours = [BLUE if each else GREY for each in matters]
        on.barh(own["parameter"], own["correlation"], height=0.6, color=colours)
        on.axvspan(-limit, limit, color=GREY, alpha=0.15, zorder=0)
        on.axvline(0, color=INK, lw=0.8)
        on.set(xlim=(-1, 1), xticks=(-1, 0, 1))
        on.set_ylim(len(own) - most - 0.6, len(own) - 0.4)  # bars are equally thick everywhere
        on.grid(visible=False)
        on.tick_params(axis="y", length=0)
    made.supxlabel(
        "below 0: larger is better, above: smaller is better; within the band chance alone gives"
        " as much in 19 of 20 searches",
        fontsize=11,
    )
    return made


def _headline(made: Figure, text: str) -> None:
    made.suptitle(text, x=0.01, ha="left", fontsize=12)


def _chance(trials: int) -> float:
    """Return the rank correlation that chance exceeds once in twenty times.

    By Student's t, as in W. W. Daniel, "Applied Nonparametric Statistics" (1990), section 9.2.
    """
    t = float(stats.t.ppf(0.975, trials - 2))
    return t / float(np.sqrt(trials - 2 + t * t))


@drawn(
    "No candidate that grows step by step is recorded yet: `mlops run` trains boosted trees and"
    " forests."
)
def draw_curves(table: pd.DataFrame, size: Size = FULL) -> Drawing:
    """Draw the error of each family's best trial as it grew (table `training_curves`)."""
    families = list(dict.fromkeys(table["family"]))[:_BESIDE]
    made = figure(size)
    _headline(made, "Learning curves of the best trials")
    places = np.atleast_1d(made.subplots(1, len(families)))
    for on, family in zip(places, families, strict=True):
        own = table[table["family"] == family]
        unit, loss = own["unit"].iloc[0], own["loss"].iloc[0]
        label(on, title=family, x=unit, y=f"{loss}, minutes")
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
    legend(made, max(places, key=lambda on: len(on.lines)))
    return made


@drawn(
    "No candidate has been explained yet: `mlops run` trains them, and explains all but the"
    " baselines."
)
def draw_contributions(table: pd.DataFrame, size: Size = TALL) -> Drawing:
    """Draw features × candidates, coloured by mean |contribution| (table `training_contributions`).

    One candidate alone gets bars.
    """
    minutes = table.pivot_table(index="feature", columns="family", values="minutes")
    minutes = minutes[list(dict.fromkeys(table["family"]))[:_COLUMNS]]  # the best first
    minutes = minutes.fillna(0.0)
    top = minutes.mean(axis=1).sort_values(ascending=False).index[:_FEATURES]
    minutes = minutes.loc[top]
    made = figure(size)
    rows = table.drop_duplicates("family").set_index("family")["rows"]
    if minutes.shape[1] == 1:
        return _contribution_bars(made, minutes.iloc[:, 0], int(rows.iloc[0]))
    on = axes(made, title="What features add to a prediction: mean |minutes|, exact", x="", y="")
    values = minutes.to_numpy()
    for y, x in np.ndindex(values.shape):
        shade = to_rgba(BLUE, _DARKEST * values[y, x] / values.max())
        on.barh(y, 0.96, left=x - 0.48, height=0.92, color=shade)
        on.text(x, y, f"{values[y, x]:.2f}", ha="center", va="center", fontsize=10)
    names = [f"{name.replace('_', chr(10))}\n{rows[name]} trips" for name in minutes.columns]
    on.set_xticks(range(len(names)), names)
    on.set_yticks(range(len(top)), [str(name).replace("_", " ") for name in top])
    on.set_xlim(-0.5, len(names) - 0.5)
    on.set_ylim(len(top) - 0.5, -0.5)
    on.grid(visible=False)
    on.tick_params(length=0)
    on.spines[:].set_visible(False)
    return made


def _contribution_bars(made: Figure, minutes: pd.Series[Any], rows: int) -> Drawing:
    title = f"What features add to a prediction of {minutes.name}"
    on = axes(made, title=title, x=f"mean |contribution|, minutes (exact, {rows:,} trips)", y="")
    own = minutes.iloc[::-1]
    bars = on.barh([str(name).replace("_", " ") for name in own.index], own, color=BLUE)
    on.bar_label(bars, fmt="%.2f", padding=4, fontsize=10)
    on.margins(x=0.1)
    on.grid(visible=False)
    on.tick_params(axis="y", length=0)
    return made


@drawn("No candidate has been measured by slice yet: `mlops run` trains and measures them.")
def draw_residuals(table: pd.DataFrame, size: Size = FULL) -> Drawing:
    """Draw the best candidate's errors by borough, hour and distance (table `training_residuals`).

    A point is the mean error, its line one standard deviation to both sides. Slices of very few
    trips, whose errors say nothing, are left out.
    """
    best = table[table["rmse"] == table["rmse"].min()]
    family, window = best["family"].iloc[0], best["window"].iloc[0]
    shown = best[best["rows"] >= min(_FEW_TRIPS, best["rows"].max())]
    made = figure(size)
    _headline(
        made,
        f"Errors of {family} on the {window} window: mean, standard deviation, and RMSE beside",
    )
    for on, dimension in zip(made.subplots(1, len(_SLICES), sharex=True), _SLICES, strict=True):
        own = shown[shown["dimension"] == dimension].iloc[::-1]
        label(on, title=dimension, x="predicted - actual, minutes", y="")
        places = np.arange(len(own))
        on.errorbar(own["mean"], places, xerr=own["spread"], fmt="o", color=BLUE, lw=2.2)
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
                f"{rmse:.2f}",
                (1, place),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
            )
    return made
