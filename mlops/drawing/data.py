"""The pictures of the dashboard Data: what was learned from, set aside, and has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from mlops.counting import counted
from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import FULL, HALF, Drawing, FigureSize, axes, drawn, figure, label, legend
from mlops.drawing.html import empty
from mlops.drawing.moments import dates
from mlops.drawing.palette import BLUE, ROLES

_WINDOWS: Final = ("train", "validation", "test")
_NO_ROWS: Final = "No training set has been published yet: `mlops run` prepares one."
_NO_HOURS: Final = (
    "Nothing to draw: no training set has been published yet (`mlops run` prepares one), or its"
    " rows have no time."
)
_NO_PROFILE: Final = (
    "Nothing to compare yet: a version gets its reference when it is registered (`mlops run`)."
)
_WEEK_DAYS: Final = 31  # up to so many days are drawn with a mark each


@drawn(_NO_HOURS)
def draw_rows(table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN) -> Drawing:
    """Draw rows by day with the windows train, validation and test shaded (table `hours`)."""
    fig = figure(size)
    on = axes(fig, title=f"{words.rows.capitalize()} by day", x="", y=f"{words.rows} per day")
    daily = table.groupby([table["hour"].dt.normalize(), "window"])["rows"].sum().reset_index()
    total = daily.groupby("hour")["rows"].sum()
    for name in _WINDOWS:
        own = table[table["window"] == name]["hour"]
        if len(own):
            on.axvspan(own.min(), own.max(), color=ROLES[name], alpha=0.12, label=f"{name} window")
    marker = "o" if len(total) <= _WEEK_DAYS else ""
    on.plot(total.index, total, color=BLUE, marker=marker, markersize=3.5, label=words.rows)
    on.set_ylim(bottom=0)
    on.margins(x=0.01)
    on.yaxis.set_major_formatter("{x:,.0f}")
    dates(on)
    legend(fig, on)
    return fig


@drawn(_NO_HOURS)
def draw_hours(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the share of rows by hour of the day, window by window (table `hours`)."""
    fig = figure(size)
    title = f"{words.rows.capitalize()} by hour of the day"
    on = axes(fig, title=title, x="hour, local time", y="share of the window, %")
    hour = table["hour"].dt.hour.rename("of_day")
    per_hour = table.groupby(["window", hour])["rows"].sum()
    for name, dash in zip(_WINDOWS, ("-", "--", ":"), strict=True):
        if name in per_hour.index.get_level_values("window"):
            own = per_hour.loc[name].reindex(range(24), fill_value=0)
            on.plot(own.index, 100 * own / own.sum(), dash, color=ROLES[name], lw=2.2, label=name)
    on.set_xticks(range(0, 24, 3))
    on.set_ylim(bottom=0)
    legend(fig, on)
    return fig


@drawn(_NO_ROWS)
def draw_volume(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw rows kept and quarantined by month (table `volume`)."""
    fig = figure(size)
    synthetic = " (synthetic)" if table["synthetic"].any() else ""
    title = f"{words.rows.capitalize()} of the training set{synthetic}"
    on = axes(fig, title=title, x="", y=words.rows)
    on.bar(table["month"], table["kept"], color=ROLES["kept"], width=0.6, label="kept")
    bars = on.bar(
        *(table["month"], table["quarantined"]),
        bottom=table["kept"],
        color=ROLES["quarantined"],
        width=0.6,
        label="quarantined",
    )
    share = table["quarantined"] / table["read"].clip(lower=1)
    on.bar_label(bars, [f"{each:.1%}" for each in share], padding=2, fontsize=10)
    on.yaxis.set_major_formatter("{x:,.0f}")
    on.margins(y=0.12)
    step = -(-len(table) // 8)
    on.set_xticks(range(0, len(table), step), list(table["month"])[::step])
    if len(table) == 1:
        on.set_xlim(-1.5, 1.5)
    legend(fig, on)
    return fig


@drawn(_NO_ROWS)
def draw_rules(table: pd.DataFrame, size: FigureSize = HALF) -> Drawing:
    """Draw the share of rows that broke each rule of the data contract (table `rules`)."""
    shown = table.sort_values("rows", ascending=False)
    broken = shown[shown["rows"] > 0]
    if broken.empty:
        return empty("No row broke any rule of the data contract.")
    fig = figure(size)
    on = axes(fig, title="Rows that break a rule", x="share of the rows read, %", y="")
    colours = [
        ROLES["quarantined" if each == "quarantine" else "flagged"] for each in broken["action"]
    ]
    bars = on.barh(broken["rule"].str.replace("_", " "), 100 * broken["share"], color=colours)
    texts = [
        f"{rows:,} ({share:.2%})"
        for rows, share in zip(broken["rows"], broken["share"], strict=True)
    ]
    on.bar_label(bars, texts, padding=4, fontsize=10)
    on.set_xlim(0, 130 * broken["share"].max())
    on.invert_yaxis()
    on.grid(visible=False)
    obeyed = len(shown) - len(broken)
    handles = [
        Patch(color=ROLES["quarantined"], label="quarantined"),
        Patch(color=ROLES["flagged"], label="kept and flagged"),
    ]
    if obeyed:
        handles.append(Patch(color="none", label=f"never broken: {counted(obeyed, 'more rule')}"))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


@drawn(_NO_ROWS)
def draw_missing(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw the share of missing values, columns × months (table `missing`)."""
    shares = table.pivot(index="column", columns="month", values="share")
    fig = figure(size)
    on = axes(fig, title=f"Missing values, % of each month's {words.rows}", x="", y="")
    strength = np.clip(shares.to_numpy() / 0.25, 0, 1)
    mesh: Any = on.pcolormesh(np.zeros(shares.shape))
    mesh.set_array(None)
    mesh.set_facecolor([(0.9, 0.62, 0.0, 0.06 + 0.8 * each) for each in strength.ravel()])
    months = len(shares.columns)
    for (row, column), share in np.ndenumerate(shares.to_numpy()):
        text = f"{100 * share:.1f}" if share > 0 else "0"
        on.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=10)
    step = -(-months // 7)
    on.set_xticks(np.arange(0, months, step) + 0.5, list(shares.columns[::step]))
    on.set_yticks(np.arange(len(shares)) + 0.5, [name.replace("_", " ") for name in shares.index])
    on.invert_yaxis()
    on.grid(visible=False)
    on.tick_params(length=0)
    on.spines[:].set_visible(False)
    return fig


@drawn(_NO_PROFILE)
def draw_numbers(
    table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw how numbers are distributed now and in the reference (table `profiles`)."""
    numbers = table[table["kind"] == "number"]
    if numbers.empty:
        return empty(_NO_PROFILE)
    fig = figure(size)
    features = list(dict.fromkeys(numbers["feature"]))[:4]
    for on, name in zip(_row(fig, len(features)), features, strict=True):
        own = numbers[numbers["feature"] == name]
        edges = np.append(own["low"].to_numpy(), own["high"].iloc[-1])
        unit = own["unit"].iloc[0]
        x = f"{unit}; the last bar holds the rest" if unit else "the last bar holds the rest"
        label(on, title=own["meaning"].iloc[0], x=x, y=f"share of {words.rows}, %")
        on.stairs(100 * own["reference"], edges, fill=True, color=ROLES["reference"], alpha=0.45)
        on.stairs(100 * own["now"], edges, color=BLUE, lw=1.8)
        on.set_ylim(bottom=0)
    _compared(fig, numbers)
    return fig


@drawn(_NO_PROFILE)
def draw_categories(
    table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw how categories are distributed now and in the reference (table `profiles`)."""
    return _categories(table, lambda name: name not in words.codes, size, words)


@drawn(_NO_PROFILE)
def draw_codes(
    table: pd.DataFrame, size: FigureSize = FULL, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw how codes that have names are distributed, likewise (table `profiles`)."""
    return _categories(table, lambda name: name in words.codes, FigureSize(size.width, 360), words)


def _categories(table: pd.DataFrame, wanted: Any, size: FigureSize, words: DatasetWords) -> Drawing:
    chosen = table[(table["kind"] == "category") & table["feature"].map(wanted)]
    if chosen.empty:
        return empty(_NO_PROFILE)
    fig = figure(size)
    features = list(dict.fromkeys(chosen["feature"]))
    for on, name in zip(_row(fig, len(features)), features, strict=True):
        own = chosen[chosen["feature"] == name]
        own = own[(own["reference"] > 0) | (own["now"] > 0)]
        x = f"share of {words.rows}, %"
        names = words.codes.get(name)
        if names is not None:  # all the others together would make the named ones too small to see
            rest = own[~own["label"].isin(names.keys())]
            own = own.drop(rest.index)
            x += f" (others: {rest['now'].sum():.0%} now, {rest['reference'].sum():.0%} before)"
        place = np.arange(len(own))
        label(on, title=own["meaning"].iloc[0], x=x, y="")
        on.barh(place, 100 * own["reference"], height=0.8, color=ROLES["reference"], alpha=0.45)
        on.plot(100 * own["now"], place, "o", color=BLUE, markersize=6)
        labels = [f"{code} {names[code]}" if names else code for code in own["label"]]
        on.set_yticks(place, labels)
        on.set_xlim(left=0)
        on.invert_yaxis()
        on.grid(visible=False)
        on.grid(visible=True, axis="x")
    _compared(fig, chosen)
    return fig


def _row(fig: Any, count: int) -> Sequence[Axes]:
    found: Sequence[Axes] = np.atleast_1d(fig.subplots(1, count)).tolist()
    return found


def _compared(fig: Any, table: pd.DataFrame) -> None:
    """Say what is compared with what, once for all pictures of a figure."""
    from matplotlib.lines import Line2D

    handles = [
        Patch(color=ROLES["reference"], alpha=0.45, label="the champion's reference"),
        Line2D([], [], color=BLUE, marker="o", label=f"now: {table['now_is'].iloc[0]}"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
