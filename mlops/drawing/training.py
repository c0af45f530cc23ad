"""Pictures of searches: who was tried, how long, what came of it, and which parameters mattered."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from scipy import stats

from mlops.counting import counted
from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import (
    BESIDE,
    FULL,
    HALF,
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
from mlops.drawing.palette import BLUE, GREY, INK, look

_PARAMETERS: Final = 6


@functools.cache  # the same function for the same arguments: what it draws is remembered by it
def for_pipeline(draw: Callable[..., Drawing], pipeline: str) -> Callable[..., Drawing]:
    """Return a drawing function of one pipeline's rows: tables hold those of all."""

    @functools.wraps(draw)  # with its own arguments, which its caller looks at
    def drawn_for_pipeline(table: pd.DataFrame, **more: Any) -> Drawing:
        return draw(table[table["pipeline"] == pipeline], **more)

    return drawn_for_pipeline


@drawn("No candidate is recorded yet: `mlops run` trains all of them.")
def draw_searched(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the validation error of each candidate (table `training_candidates`)."""
    fig = figure(size)
    run = f"Candidates of run {table['run'].iloc[0]}, {table['at'].max():%Y-%m-%d %H:%M} UTC"
    on = axes(fig, title=run, x=words.measured("RMSE on the validation window"), y="")
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
    return fig


@drawn("No search is recorded yet: `mlops run` searches every family.")
def draw_trials(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw each trial as a point and the best so far as a line (table `training_trials`)."""
    fig = figure(size)
    title = "Trials, and the best so far"
    on = axes(fig, title=title, x="trial of the search", y=words.measured("RMSE"))
    own = _learned(table)
    for family, mine in _best_first(own):
        style = look(family)
        on.plot(mine["trial"], mine["rmse"], style.marker, color=style.colour, alpha=0.55)
        _steps(on, mine["trial"], mine["best"], family)
    _hide_far_trials(on, own)
    on.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(fig, on)
    return fig


@drawn("No search is recorded yet: `mlops run` searches every family.")
def draw_pace(table: pd.DataFrame, size: FigureSize = TALL, words: DatasetWords = PLAIN) -> Drawing:
    """Draw the best error so far against the time it took (table `training_trials`)."""
    fig = figure(size)
    on = axes(
        fig,
        title="Best error over search time",
        x="search time, seconds (logarithmic)",
        y=words.measured("best RMSE so far"),
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
    legend(fig, on)
    return fig


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
    notes = [f"{beyond} above the scale"] * bool(beyond) + [f"{failed} failed"] * bool(failed)
    if notes:
        on.set_xlabel(f"{on.get_xlabel()} ({', '.join(notes)})")


@drawn(
    "No search has varied a parameter often enough yet: `mlops run` searches every family,"
    " and `--set training.max_evals=20` longer."
)
def draw_parameters(table: pd.DataFrame, size: FigureSize = FULL) -> Drawing:
    """Draw which hyperparameters went along with the loss (table `training_parameters`)."""
    families = list(dict.fromkeys(table["family"]))[:BESIDE]
    most = min(int(table.groupby("family").size().max()), _PARAMETERS)
    fig = figure(size)
    headline(fig, "Influential parameters: rank correlation with the loss of a trial")
    places = np.atleast_1d(fig.subplots(1, len(families), sharex=True))
    for on, family in zip(places, families, strict=True):
        own = table[table["family"] == family]
        own = own.reindex(own["correlation"].abs().sort_values().index[-_PARAMETERS:])
        limit = _chance(int(own["trials"].iloc[0]))
        label(on, title=family, x=counted(own["trials"].iloc[0], "trial"), y="")
        matters = own["correlation"].abs() > limit
        colours = [BLUE if each else GREY for each in matters]
        on.barh(own["parameter"], own["correlation"], height=0.6, color=colours)
        on.axvspan(-limit, limit, color=GREY, alpha=0.15, zorder=0)
        on.axvline(0, color=INK, lw=0.8)
        on.set(xlim=(-1, 1), xticks=(-1, 0, 1))
        on.set_ylim(len(own) - most - 0.6, len(own) - 0.4)  # bars are equally thick everywhere
        on.grid(visible=False)
        on.tick_params(axis="y", length=0)
    fig.supxlabel(
        "Negative: larger values do better. Positive: smaller values do better. The band holds 95 %"
        " of correlations that arise by chance.",
        fontsize=11,
    )
    return fig


def _chance(trials: int) -> float:
    """Return the rank correlation that chance exceeds once in twenty times.

    By Student's t, as in W. W. Daniel, "Applied Nonparametric Statistics" (1990), section 9.2.
    """
    t = float(stats.t.ppf(0.975, trials - 2))
    return t / float(np.sqrt(trials - 2 + t * t))
