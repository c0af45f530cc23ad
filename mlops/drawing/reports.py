"""Drawings of reports: how honest predictions are, how live errors went, how a search went."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.ticker import MaxNLocator

from mlops.datasets.wording import DatasetWords
from mlops.drawing.frame import Drawing, FigureSize, axes, drawn, figure, legend
from mlops.drawing.moments import dates
from mlops.drawing.palette import BLUE, GREY, ROLES, SKY, look, version_colour

# Reports are read in a column of text: narrower than a dashboard, so that type keeps its size.
COLUMN: Final = FigureSize(760, 320)


@drawn("Nothing has been predicted yet.")
def calibration(bins: pd.DataFrame, words: DatasetWords) -> Drawing:
    """Draw what became of rows of similar predictions.

    Args:
        bins: ``predicted`` and ``actual`` (means), ``low`` and ``high`` (tenth and ninetieth
            percentile of the answers), one row per bin.
        words: Of the dataset.
    """
    fig = figure(COLUMN)
    on = axes(
        fig,
        title=f"Actual {words.answer} by predicted {words.answer}",
        x=words.measured(f"predicted {words.answer}"),
        y=words.measured(f"actual {words.answer}"),
    )
    band = f"8 {words.rows} in 10"
    on.fill_between(bins["predicted"], bins["low"], bins["high"], color=SKY, alpha=0.3, label=band)
    values = bins[["predicted", "actual", "low", "high"]]
    ends = [min(0.0, float(values.min().min())), float(values.max().max())]
    on.plot(ends, ends, color=GREY, linestyle="--", label="perfect prediction")
    on.plot(bins["predicted"], bins["actual"], color=BLUE, marker="o", label="mean")
    if ends[0] == 0:
        on.set(xlim=(0, None), ylim=(0, None))
    legend(fig, on)
    return fig


@drawn("No actual answer has arrived yet.")
def live_errors(windows: pd.DataFrame, words: DatasetWords) -> Drawing:
    """Draw the RMSE of windows over time.

    Args:
        windows: ``end`` (time), ``version``, and in the unit of the target ``rmse``, ``low``,
            ``high`` and ``expected``.
        words: Of the dataset.
    """
    fig = figure(COLUMN)
    on = axes(fig, title="Live error", x="end of the window (UTC)", y=words.measured("RMSE"))
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
def search_progress(trials: pd.DataFrame, words: DatasetWords) -> Drawing:
    """Draw the best validation error that each family's search had found so far.

    Args:
        trials: ``family``, ``number`` (from 1) and ``best`` (RMSE); one row per trial.
        words: Of the dataset.
    """
    fig = figure(FigureSize(COLUMN.width, 380))
    best = words.measured("best RMSE on validation")
    on = axes(fig, title="The search", x="trial", y=best)
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
