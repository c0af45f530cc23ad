"""Drawings of reports: how honest predictions are, how live errors went, how a search went."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.ticker import MaxNLocator

from mlops.drawing.frame import Drawing, FigureSize, axes, drawn, figure, legend
from mlops.drawing.moments import dates
from mlops.drawing.palette import BLUE, GREY, ROLES, SKY, look, version_colour

# Reports are read in a column of text: narrower than a dashboard, so that type keeps its size.
COLUMN: Final = FigureSize(760, 320)


@drawn("No trip has been predicted yet.")
def calibration(bins: pd.DataFrame) -> Drawing:
    """Draw what happened to trips of similar predictions.

    Args:
        bins: ``predicted`` and ``actual`` (means), ``low`` and ``high`` (tenth and ninetieth
            percentile of actual durations); minutes, one row per bin.
    """
    fig = figure(COLUMN)
    on = axes(
        fig,
        title="Actual durations by predicted duration",
        x="predicted duration, minutes",
        y="actual duration, minutes",
    )
    on.fill_between(
        bins["predicted"], bins["low"], bins["high"], color=SKY, alpha=0.3, label="8 trips in 10"
    )
    end = float(max(bins["high"].max(), bins["predicted"].max()))
    on.plot([0, end], [0, end], color=GREY, linestyle="--", label="perfect prediction")
    on.plot(bins["predicted"], bins["actual"], color=BLUE, marker="o", label="mean")
    on.set(xlim=(0, None), ylim=(0, None))
    legend(fig, on)
    return fig


@drawn("No actual duration has arrived yet.")
def live_errors(windows: pd.DataFrame) -> Drawing:
    """Draw the RMSE of windows over time.

    Args:
        windows: ``end`` (time), ``version``, and in minutes ``rmse``, ``low``, ``high`` and
            ``expected``.
    """
    fig = figure(COLUMN)
    on = axes(fig, title="Live error", x="end of the window (UTC)", y="RMSE, minutes")
    for version, own in windows.groupby("version"):
        below, above = own["rmse"] - own["low"], own["high"] - own["rmse"]
        on.errorbar(
            own["end"],
            own["rmse"],
            yerr=[below.clip(lower=0), above.clip(lower=0)],
            color=version_colour(int(str(version))),
            marker="o",
            capsize=3,
            label=f"version {version}, with 95% interval",
        )
    on.plot(
        windows["end"],
        windows["expected"],
        color=ROLES["reference"],
        linestyle="--",
        marker=".",
        label="expected",
    )
    dates(on)
    legend(fig, on)
    return fig


@drawn("No trial was recorded.")
def search_progress(trials: pd.DataFrame) -> Drawing:
    """Draw the best validation error that each family's search had found so far.

    Args:
        trials: ``family``, ``number`` (from 1) and ``best`` (RMSE, minutes); one row per trial.
    """
    fig = figure(FigureSize(COLUMN.width, 380))
    on = axes(fig, title="The search", x="trial", y="best RMSE on validation, minutes")
    for family, own in trials.groupby("family", sort=False):
        style = look(str(family))
        on.plot(
            own["number"],
            own["best"],
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            label=str(family),
        )
    on.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(fig, on)
    return fig
