"""The pictures of the dashboard Overview: is all well, and if not, since when and what was done."""

from __future__ import annotations

from textwrap import shorten
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba

from mlops.counting import decimals_for
from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import (
    FULL,
    HALF,
    Drawing,
    FigureSize,
    axes,
    drawn,
    figure,
    legend,
)
from mlops.drawing.html import Card, cards_html, state_html, version_html
from mlops.drawing.moments import name_moments
from mlops.drawing.palette import GREY, INK, ROLES, SKY, VERMILLION, look, version_colour

_MINUTE: Final = "%Y-%m-%d %H:%M"
_DAY: Final = "%Y-%m-%d"
_FIRST: Final = "`mlops run` trains and registers the first model."
_BESIDE: Final = 0.3  # how far families of one training lie from its place, at most
# A champion's state in words: nobody should have to know ours.
_STATES: Final = {
    "ok": "healthy",
    "warn": "needs attention",
    "retrain": "retraining",
    "rollback": "rolling back",
    "": "not monitored",
}


@drawn(f"There is no champion yet: {_FIRST}")
def draw_champion(table: pd.DataFrame, words: DatasetWords = PLAIN) -> Drawing:
    """Draw who answers requests and how it does, from the table `champion`."""
    row: Any = table.iloc[0]
    trouble = (Card("Alias in MLflow", state_html("warn", "needs attention"), row["trouble"], 2),)
    if not row["version"]:
        return cards_html((Card("Champion", "none", _FIRST), *trouble))
    state = row["state"]
    why = row["state_reason"] or "`mlops monitor` measures its answers"
    decided = f"{row['decided_at']:{_MINUTE}}: " if state else ""
    by = f" by {row['promoted_by']}" if row["promoted_by"] else ""
    # The whole reason is in the trail: `mlops models`.
    reason = f": {shorten(row['reason'], 90, placeholder=' …')}" if row["reason"] else ""
    synthetic = f" (synthetic {words.rows})" if row["synthetic"] else ""
    old_code = (Card("Server", state_html("warn", "old code"), row["server"], 2),)
    return cards_html(
        (
            *(old_code if row["server"] else ()),
            *(trouble if row["trouble"] else ()),
            Card(
                f"Champion: {row['family'] or 'family unknown'}{synthetic}",
                version_html(row["version"]),
                f"promoted {row['promoted_at']:{_MINUTE}}{by}{reason}",
                2,
            ),
            Card(
                "State",
                state_html(state or "unjudged", _STATES.get(state, state)),
                f"{decided}{why}",
                2,
            ),
            Card(
                "RMSE offline",
                _amount(row["rmse"], words),
                f"measured on {words.count(row['test_trips'])}{synthetic}"
                if row["test_trips"] > 0
                else "registered without metrics",
            ),
            _live_card(row, words),
            Card("Age", _age(row["age_days"]), _learned(row)),
            Card(
                "Challenger",
                row["challenger"] or "none",
                "`mlops deploy challenger` deploys it"
                if row["challenger"]
                else "`mlops run` trains candidates for the gate",
            ),
        )
    )


@drawn(f"Nothing has been trained yet: {_FIRST}")
def draw_searches(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the validation error of each family, training by training (table `searches`)."""
    fig = figure(size)
    hollow = f" (hollow: synthetic {words.rows})" if table["synthetic"].any() else ""
    title = f"Validation RMSE of each training{hollow}"
    on = axes(fig, title=title, x="", y=words.measured("RMSE"))
    trainings = sorted(table["training"].unique())
    places = {training: place for place, training in enumerate(trainings)}
    # Baselines are far off on purpose: a scale that holds them hides the differences that matter.
    best = table.groupby("family")["rmse"].min().sort_values()
    shown = best[best <= 1.5 * best.iloc[0]]
    # Side by side: families that are as good as each other would hide each other.
    apart = np.linspace(-_BESIDE, _BESIDE, len(shown)) if len(shown) > 1 else [0.0]
    for family, shift in zip(shown.index, apart, strict=True):
        style = look(str(family))
        # Lines of their own: the errors on synthetic and real rows do not compare.
        for synthetic, own in table[table["family"] == family].groupby("synthetic"):
            on.plot(
                own["training"].map(places) + shift,
                own["rmse"],
                style.dash,
                color=style.colour,
                marker=style.marker,
                fillstyle="none" if synthetic else "full",
                label=f"{family}, synthetic" if synthetic else family,
            )
    left_out = [f"{name} {value:.1f}" for name, value in best.items() if name not in shown.index]
    if left_out:
        on.set_xlabel("beyond the scale: " + ", ".join(left_out))
    name_moments(on, pd.Series(trainings), 6)
    on.set_xlim(-0.5, len(trainings) - 0.5)
    legend(fig, on)
    return fig


@drawn(
    "No window with known answers yet: `mlops monitor` compares what the champion predicted with"
    " what came true, as soon as the source has it."
)
def draw_live(table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN) -> Drawing:
    """Draw the live error of each window with its 95 % interval (table `live_rmse`).

    Windows lie side by side, as in `draw_drift`: by time, a busy hour would be one heap.
    """
    fig = figure(size)
    title = "Live RMSE by window, with 95 % interval"
    on = axes(fig, title=title, x="", y=words.measured("RMSE"))
    table = table.assign(place=np.arange(len(table)))
    for version, own in table.groupby("version"):
        family = str(own["family"].iloc[0])
        apart = np.array([own["rmse"] - own["low"], own["high"] - own["rmse"]])
        on.errorbar(
            own["place"],
            own["rmse"],
            yerr=np.nan_to_num(np.maximum(apart, 0)),
            color=version_colour(int(str(version))),
            marker="o",
            capsize=2,
            elinewidth=1,
            label=f"version {version} ({family})" if family else f"version {version}",
        )
        start = own["place"].iloc[0] - 0.5
        on.text(start, 1.0, f" v{version}", transform=on.get_xaxis_transform(), va="top")
        on.axvline(start, color=INK, alpha=0.4, lw=0.8)
    if table["limit"].notna().any():
        on.plot(
            table["place"],
            table["limit"],
            "--",
            color=ROLES["limit"],
            lw=1.2,
            label="alarm limit",
            zorder=1,
        )
    alarms = table[table["outcome"] == "alarm"]
    if len(alarms):
        on.plot(
            *(alarms["place"], alarms["rmse"], "o"),
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=VERMILLION,
            markeredgewidth=1.8,
            label="alarm",
        )
    on.margins(y=0.12)
    on.set_xlim(-0.7, len(table) - 0.3)
    name_moments(on, table["end"], 6)
    legend(fig, on)
    return fig


@drawn(
    "No window has been compared with the champion's reference yet: `mlops monitor` does"
    " it, and so does the pipeline `monitoring`."
)
def draw_drift(table: pd.DataFrame, size: FigureSize = FULL) -> Drawing:
    """Draw features × windows, coloured by PSI relative to its limit (table `drift`)."""
    features = list(dict.fromkeys(table["feature"]))
    windows = list(dict.fromkeys(table["window"]))
    fig = figure(FigureSize(size.width, max(size.height, 64 + 19 * len(features))))
    on = axes(
        fig,
        title="Worst of PSI, Jensen–Shannon, KS and Wasserstein, relative to its alarm limit",
        x="",
        y="",
    )
    cells = np.zeros((len(features), len(windows), 4))
    rows: Any = table.itertuples(index=False)
    for row in rows:
        place = features.index(row.feature), windows.index(row.window)
        cells[place] = _cell_colour(row.ratio, row.outcome)
        if row.outcome == "alarm":
            text = "" if np.isnan(row.ratio) else f"{row.ratio:.1f}"
            on.text(
                place[1] + 0.5,
                place[0] + 0.5,
                text,
                ha="center",
                va="center",
                color="white",
                fontsize=9,
            )
    mesh: Any = on.pcolormesh(np.zeros(cells.shape[:2]), edgecolors="none")
    mesh.set_array(None)
    mesh.set_facecolor(cells.reshape(-1, 4))
    name_moments(on, table.drop_duplicates("window")["end"], 8, 0.5)
    on.set_yticks(np.arange(len(features)) + 0.5, [name.replace("_", " ") for name in features])
    on.invert_yaxis()
    on.grid(visible=False)
    on.tick_params(length=0)
    on.spines[:].set_visible(False)
    for label, state, ratio in (
        ("quiet", "ok", 0.1),
        ("near the limit", "ok", 1.0),
        ("alarm", "alarm", 2.0),
        ("not judged", "unjudged", np.nan),
    ):
        on.plot([], [], "s", markersize=9, color=_cell_colour(ratio, state), label=label)
    legend(fig, on)
    return fig


def _live_card(row: Any, words: DatasetWords) -> Card:
    rmse = row["live_rmse"]
    if np.isnan(rmse):
        return Card("RMSE live", "–", f"known when the actual {words.answer} arrives")
    ends = [f"{row[name]:,.{decimals_for(rmse)}f}" for name in ("live_low", "live_high")]
    interval = "" if np.isnan(row["live_low"]) else f"95 %: {' to '.join(ends)}; "
    until = f"{words.count(row['live_trips'])} until {row['live_until']:{_DAY}}"
    return Card("RMSE live", _amount(rmse, words), interval + until)


def _cell_colour(ratio: float, outcome: str) -> tuple[float, float, float, float]:
    if outcome == "alarm":
        return to_rgba(VERMILLION, 0.9)
    if outcome == "unjudged" or np.isnan(ratio):
        return to_rgba(GREY, 0.25)
    return to_rgba(SKY, 0.12 + 0.7 * min(max(ratio, 0.0), 1.0))


def _amount(value: float, words: DatasetWords) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:,.{decimals_for(value)}f} {words.short}".rstrip()


def _age(days: float) -> str:
    if days >= 2:
        return f"{days:.0f} days"
    return f"{24 * days:.0f} h" if days >= 1 / 12 else f"{1440 * days:.0f} min"


def _learned(row: Any) -> str:
    return (
        "" if pd.isna(row["learned_until"]) else f"training set until {row['learned_until']:{_DAY}}"
    )
