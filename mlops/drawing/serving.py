"""The pictures of the dashboard Serving: is it answering, how fast, and does the canary differ."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from mlops.datasets.wording import PLAIN, DatasetWords
from mlops.drawing.frame import HALF, Drawing, FigureSize, axes, drawn, figure, legend
from mlops.drawing.html import Card, Html, cards_html, state_html, table_html, version_html
from mlops.drawing.moments import dates
from mlops.drawing.palette import (
    BLUE,
    GREEN,
    GREY,
    OCHRE,
    ORANGE,
    PURPLE,
    ROLES,
    SKY,
    VERMILLION,
    version_colour,
)

_START: Final = (
    "No online server was seen in the last day: `mlops serve` starts one, and this page follows it"
    " while `mlops up` runs."
)
_SOME: Final = "No request was answered in the last day: `mlops serve` answers them."
_MINUTE: Final = "%Y-%m-%d %H:%M"
_ANSWERED: Final = (BLUE, SKY, GREEN, GREY)
_FAILED: Final = (VERMILLION, ORANGE, PURPLE, OCHRE)
_KINDS: Final = 5  # of errors told apart
_ALMOST_ALL: Final = 0.99  # of the predictions lie above the start of their axis, and below its end
_BARS: Final = 100  # at most, of equal width


@drawn(_START)
def draw_now(table: pd.DataFrame) -> Drawing:
    """Draw what is served now and how it does, from the table `serving_now`."""
    row: Any = table.iloc[0]
    seen = f"{row['at']:{_MINUTE}} UTC"
    up = state_html("ok", "answering") if row["up"] else state_html("failed", "not reached")
    problem = row["problem"] or ("" if row["up"] else "`mlops serve` starts it")
    since = row["champion_since"]
    beside = row["mode"] or "`mlops deploy VERSION` starts a canary"
    if pd.notna(row["percent"]):
        beside = f"{row['mode']}, {row['percent']:g} % of requests until {row['until']:%H:%M} UTC"
    cards = (
        Card("Online server", up, _joined(f"last seen {seen}", problem)),
        Card(
            "Champion",
            _version(row["champion"]),
            _joined(
                row["champion_family"], "" if pd.isna(since) else f"since {since:{_MINUTE}} UTC"
            ),
        ),
        Card("Beside it", _version(row["beside"]), _joined(row["beside_family"], beside)),
        Card(
            "Requests",
            _number(row["per_second"], ",.1f", " / s"),
            f"in the last 5 minutes; {_number(row['failed_share'], '.2%')} answered 5xx",
        ),
        Card(
            "Latency, median",
            _number(row["p50_ms"], ".2f", " ms"),
            f"99 % within {_number(row['p99_ms'], '.2f', ' ms')}, in the last 5 minutes",
        ),
        Card(
            "Answers not logged",
            _number(row["log_dropped"], ",.0f"),
            f"in the last day; {_number(row['shadow_dropped'], ',.0f')} not seen by a shadow",
        ),
    )
    return cards_html(cards)


@drawn(_SOME)
def draw_requests(
    table: pd.DataFrame, size: FigureSize = HALF, now: datetime | None = None
) -> Drawing:
    """Draw requests per second by endpoint and status (table `serving_requests`)."""
    fig = figure(size)
    on = axes(fig, title="Requests by endpoint and status", x="", y="requests per second")
    name = table["status"] + " " + table["endpoint"]
    totals = table.groupby(name)["per_second"].sum().sort_values(ascending=False)
    answered, failed = iter(_ANSWERED), iter(_FAILED)
    for each in totals.index:
        own, fine = table[name == each], str(each).startswith("2")
        colour = next(answered if fine else failed, GREY)
        on.plot(own["at"], own["per_second"], "-" if fine else "--", color=colour, label=each)
    on.set_ylim(bottom=0)
    dates(on, now)
    legend(fig, on)
    return fig


@drawn(_SOME)
def draw_latency(
    table: pd.DataFrame, size: FigureSize = HALF, now: datetime | None = None
) -> Drawing:
    """Draw percentiles of latency by version and role (table `serving_latency`)."""
    fig = figure(size)
    on = axes(fig, title="Time in the server", x="", y="milliseconds (logarithmic)")
    for (role, version), own in _in_order(table):
        for percent, dash in ((50, "-"), (95, "--"), (99, ":")):
            on.plot(
                *(own["at"], own[f"p{percent}_ms"], dash),
                color=_colour(role, version),
                label=f"{role} v{version} p{percent}",
            )
    on.set_yscale("log")
    on.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    on.yaxis.set_major_formatter("{x:g}")
    on.yaxis.set_minor_locator(NullLocator())
    dates(on, now)
    legend(fig, on)
    return fig


@drawn(
    "Nothing was refused and nothing failed in the last day: what `mlops serve` cannot answer is"
    " counted here, by kind."
)
def draw_errors(
    table: pd.DataFrame, size: FigureSize = HALF, now: datetime | None = None
) -> Drawing:
    """Draw what failed, by kind and time (table `serving_errors`)."""
    fig = figure(size)
    on = axes(fig, title="Requests not answered, by kind", x="", y="requests")
    totals = table.groupby("kind")["count"].sum().sort_values(ascending=False)
    named = {kind: kind if i < _KINDS else "other" for i, kind in enumerate(totals.index)}
    slots = _slots(table["at"])
    counts = table.assign(kind=table["kind"].map(named), slot=table["at"].dt.floor(slots))
    wide = counts.pivot_table(
        index="slot", columns="kind", values="count", aggfunc="sum", fill_value=0.0
    )
    below = np.zeros(len(wide))
    width = pd.Timedelta(slots) / pd.Timedelta(days=1) * 0.85
    for kind, colour in zip(dict.fromkeys(named.values()), (*_FAILED, SKY, GREY), strict=False):
        on.bar(
            *(wide.index, wide[kind], width),
            bottom=below,
            align="edge",
            color=colour,
            label=f"{kind}: {wide[kind].sum():,.0f}",
        )
        below += wide[kind].to_numpy()
    dates(on, now)
    legend(fig, on)
    return fig


@drawn(_SOME)
def draw_predictions(
    table: pd.DataFrame, size: FigureSize = HALF, words: DatasetWords = PLAIN
) -> Drawing:
    """Draw how predictions are distributed, of each version and of the reference.

    From the table `serving_predictions`; the bars of a histogram as a line.
    """
    fig = figure(size)
    on = axes(
        fig,
        title=f"Predicted {words.answer}",
        x=words.unit or words.answer,
        y=f"% of {words.rows} per {words.short or 'unit'}",
    )
    edges = _edges_of_most(table)
    for (role, version), own in _in_order(table):
        inside = own[(own["high"] > edges[0]) & (own["low"] < edges[-1])]
        bar = np.searchsorted(edges[1:], np.minimum(inside["high"], edges[-1]))
        shares = np.bincount(bar, inside["share"], minlength=len(edges) - 1)
        percent = 100 * shares / np.diff(edges)
        colour, rows = _colour(role, version), own["rows"].iloc[0]
        named = f"{role} of v{version}" if role == "reference" else f"{role} v{version}"
        on.stairs(
            percent,
            edges,
            color=colour,
            fill=role == "reference",
            alpha=0.3 if role == "reference" else 1.0,
            linewidth=1.8,
            label=f"{named}, {words.count(rows)}",
        )
    on.set_xlim(edges[0], edges[-1])
    on.set_ylim(bottom=0)
    legend(fig, on)
    return fig


@drawn(_SOME)
def draw_comparison(table: pd.DataFrame, words: DatasetWords = PLAIN) -> Drawing:
    """Show versions beside each other (table `serving_comparison`)."""
    row: Any = table.iloc[0]
    percents = {name: 100 * table[name] for name in ("share", "error_share")}
    shown = table.assign(
        **percents,
        version=[
            f"{v} ({f})" if f else str(v)
            for v, f in zip(table["version"], table["family"], strict=True)
        ],
    )
    heading = "Versions side by side" if len(table) > 1 else "Version that answered"
    span = f"{row['since']:{_MINUTE}} to {row['until']:%H:%M} UTC"
    return Html(
        f"<p><b>{heading}</b>, {span}</p>"
        + table_html(
            shown,
            {
                "role": "role",
                "version": "version",
                "requests": "requests",
                "share": "share, %",
                "errors": "errors",
                "error_share": "errors, %",
                "p50_ms": "p50, ms",
                "p95_ms": "p95, ms",
                "p99_ms": "p99, ms",
                "mean_prediction": words.behind("mean prediction"),
            },
            {
                **dict.fromkeys(("requests", "errors"), ",.0f"),
                **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "mean_prediction"), ".2f"),
                "share": ".1f",
                "error_share": ".3f",
            },
        )
    )


def _edges_of_most(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the edges of bars, between which almost all predictions of each version lie.

    Buckets too narrow to be seen are drawn together: the few predictions in each are chance.
    """
    edges = np.unique(table[["low", "high"]].to_numpy(np.float64))
    edges = edges[np.isfinite(edges)]
    if len(edges) < 2:
        return np.array([0.0, 1.0])
    starts, ends = [], []
    for _, own in _in_order(table):
        bars = own.sort_values("high")
        below = bars["share"].cumsum().to_numpy() / bars["share"].sum()
        starts.append(bars["low"][np.append(0.0, below[:-1]) <= 1 - _ALMOST_ALL].max())
        ends.append(bars["high"][below >= _ALMOST_ALL].min())
    # What lies beyond the last bound has no width: then the bar beside it is shown, empty.
    last = max(int(np.searchsorted(edges, min(max(ends), edges[-1]))), 1)
    first = min(int(np.searchsorted(edges, max(min(starts), edges[0]))), last - 1)
    inside = edges[first : last + 1]
    wide = [inside[0]]
    for edge in inside[1:-1]:
        if min(edge - wide[-1], inside[-1] - edge) >= (inside[-1] - inside[0]) / _BARS:
            wide.append(edge)
    return np.array([*wide, inside[-1]])


def _in_order(table: pd.DataFrame) -> list[tuple[tuple[str, int], pd.DataFrame]]:
    """Return the rows of each role and version: behind others the reference, then the champion."""
    order = {"reference": 0, "champion": 1}
    whose: Any = table.groupby(["role", "version"])
    return sorted(whose, key=lambda each: order.get(each[0][0], 2))


def _colour(role: str, version: int) -> str:
    """Return the colour of a version; the reference is what it is compared with."""
    return ROLES["reference"] if role == "reference" else version_colour(version)


def _slots(at: pd.Series[Any]) -> str:
    """Return the length of a bar: some dozens of them over the span shown."""
    hours = (at.max() - at.min()) / pd.Timedelta(hours=1)
    return "1min" if hours < 1 else "10min" if hours < 6 else "30min"


def _version(number: float) -> str:
    return "none" if pd.isna(number) else version_html(f"{number:.0f}")


def _number(value: float, how: str, unit: str = "") -> str:
    return "–" if pd.isna(value) else f"{value:{how}}{unit}"


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
