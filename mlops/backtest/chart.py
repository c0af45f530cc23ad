"""The replay in one picture: live error by month, what age costs, and what training cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlops.backtest.results import BacktestResult
from mlops.backtest.summary import excess_by_age
from mlops.drawing.frame import FigureSize, figure, styled, to_png, to_svg
from mlops.drawing.palette import GREY, HUES, INK

_COLOURS: Final = (GREY, *HUES)  # the first policy is what the others are compared with
_MARKERS: Final = "osDvpP"
_SPREAD: Final = 0.05  # policies with the same numbers lie beside each other, not on top
_SIZE: Final = FigureSize(1100, 420)


def draw(result: BacktestResult) -> Mapping[str, bytes]:
    """Draw a replay.

    Returns:
        ``chart.svg`` (nothing external) and ``chart.png``.
    """
    with styled():
        made = figure(_SIZE)
        by_month, by_age, cost = made.subplots(1, 3, width_ratios=[5, 3, 3])
        _draw_months(by_month, result)
        _draw_ages(by_age, result)
        _draw_cost(cost, result)
        synthetic = f", synthetic {result.plural}" if result.synthetic else ""
        made.suptitle(
            f"Replay of {result.months[0]} to {result.months[-1]} ({result.source}{synthetic})",
            fontsize=13,
        )
    return {"chart.svg": to_svg(made).encode(), "chart.png": to_png(made)}


def _draw_months(axes: Any, result: BacktestResult) -> None:
    place = {month: index for index, month in enumerate(result.months)}
    for number, totals in enumerate(result.totals):
        own = [step for step in result.steps if step.policy == totals.policy]
        shift = _shift(number, result)
        axes.plot(
            [place[step.month] + shift for step in own],
            [step.live.rmse for step in own],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            label=totals.policy,
        )
    low, high = axes.get_ylim()
    lines = {}
    for number, totals in enumerate(result.totals):
        for step in result.steps:
            if step.policy == totals.policy and step.challenger:
                # A new model answers from the end of the month on: between two points.
                lines[step.promoted] = axes.plot(
                    place[step.month] + 0.5 + _shift(number, result),
                    low - 0.04 * (high - low),
                    marker="^" if step.promoted else "x",
                    linestyle="",
                    color=_COLOURS[number % len(_COLOURS)],
                )[0]
    for promoted, text in ((True, "model replaced"), (False, "model refused by the gate")):
        if promoted in lines:
            marker = "^" if promoted else "x"
            axes.plot([], [], marker=marker, linestyle="", color=INK, label=text)
    axes.set_xticks(list(place.values()), list(place))
    axes.set(
        title="Live error",
        xlabel="month",
        ylabel=f"RMSE of all {result.plural}" + (f", {result.unit}" if result.unit else ""),
    )
    # Below the picture: there, it hides no line.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _draw_ages(axes: Any, result: BacktestResult) -> None:
    ages = [each.age_months for each in result.aging]
    axes.plot(
        ages,
        [100 * each.excess for each in result.aging],
        marker="o",
        linestyle="",
        color=GREY,
        markersize=4,
        label="one model in one month",
    )
    mean = excess_by_age(result.aging)
    axes.plot(list(mean), [100 * e for e in mean.values()], color=INK, marker="s", label="mean")
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.set_xticks(sorted(set(ages)))
    axes.set(
        title="Staleness",
        xlabel="age of the model, months",
        ylabel="RMSE above that of the newest model, %",
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _draw_cost(axes: Any, result: BacktestResult) -> None:
    names = [totals.policy for totals in result.totals]
    seconds = [totals.training_seconds for totals in result.totals]
    colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(names))]
    bars = axes.barh(names, seconds, color=colours)
    texts = [
        f" {totals.retrainings} trained, {totals.promotions} promoted" for totals in result.totals
    ]
    axes.bar_label(bars, texts)
    axes.set_xlim(0, max([*seconds, 1.0]) * 2)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set(title="Cost of retraining", xlabel="training time, seconds")


def _shift(number: int, result: BacktestResult) -> float:
    return _SPREAD * (number - (len(result.totals) - 1) / 2)
