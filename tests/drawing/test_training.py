"""The pictures of the dashboards Training, from nothing, next to nothing and a lot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mlops.datasets.wording import PLAIN
from mlops.drawing import explanation, training
from mlops.drawing.frame import to_html, to_svg
from mlops.observability.table import ObservedTable
from mlops.observability.training_tables import TABLES
from mlops.training.families import FAMILIES, OBJECTIVES

DRAWN: Mapping[str, Callable[[pd.DataFrame], Any]] = {
    "training_candidates": training.draw_searched,
    "training_trials": training.draw_trials,
    "training_pace": training.draw_pace,
    "training_parameters": training.draw_parameters,
    "training_curves": explanation.draw_curves,
    "training_contributions": explanation.draw_contributions,
    "training_residuals": explanation.draw_residuals,
}
EVERY = (*FAMILIES, *OBJECTIVES)


def table_of(name: str) -> ObservedTable:
    return TABLES[name.replace("pace", "trials")]


def rows(name: str, families: int, each: int) -> pd.DataFrame:
    """Return a table of so many families with so many rows each."""
    table = table_of(name)
    frame = pd.DataFrame(
        [
            {
                "pipeline": "sklearn_training",
                "family": EVERY[i % len(EVERY)] + "_again" * (i // len(EVERY)),
                "run": "7",
                "at": pd.Timestamp("2024-03-01", tz="UTC"),
                "baseline": i % 5 == 4,
                "rmse": 4.0 + i + 0.01 * k,
                "mae": 3.0,
                "trials": 8,
                "trial": k + 1,
                "seconds": 12.5,
                "elapsed": 0.5 * (k + 1),
                "best": 4.0 + i,
                "parameter": f"parameter_{k}",
                "correlation": np.sin(i + k),
                "unit": "rounds",
                "loss": "RMSE",
                "step": k + 1,
                "window": "validation",
                "value": 9.0 / (k + 1),
                "rows": 100 + k,
                "feature": f"feature_{k}",
                "dimension": ("pickup borough", "hour", "distance")[k % 3],
                "slice": f"slice {k}",
                "mean": 0.1 * k,
                "spread": 4.0,
                "slice_rmse": 4.1,
            }
            for i in range(families)
            for k in range(each)
        ]
    )
    frame = frame if each_is_a_row(name) else frame.drop_duplicates("family")
    return table.shaped(frame)


def each_is_a_row(name: str) -> bool:
    return name != "training_candidates"


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_a_sentence_that_names_a_command(name: str) -> None:
    assert "<code>mlops run</code>" in DRAWN[name](table_of(name).empty)


@pytest.mark.parametrize(("families", "each"), [(1, 1), (14, 40)])
@pytest.mark.parametrize("name", DRAWN)
def test_little_and_much_are_drawn_with_titles_and_units(
    name: str,
    families: int,
    each: int,
    in_words: Callable[[Any], Any],
    assert_legible: Callable[[Figure], None],
) -> None:
    drawn = in_words(DRAWN[name])(rows(name, families, each))

    assert isinstance(drawn, Figure)
    assert_legible(drawn)
    svg = to_svg(drawn)
    assert svg.startswith("<svg") and 'aria-label=""' not in svg
    unit = getattr(in_words(DRAWN[name]), "keywords", {}).get("words", PLAIN).unit
    assert ("minutes" in svg) == bool(unit)
    assert len(svg) < 1_500_000


def test_a_failed_trial_is_counted_and_does_not_hide_the_others() -> None:
    table = rows("training_trials", 2, 5)
    table.loc[0, ["rmse", "best"]] = np.nan
    table.loc[3, "rmse"] = 163.0  # what a linear model without protection does

    svg = to_svg(training.draw_trials(table))  # type: ignore[arg-type]

    assert "1 above the scale, 1 failed" in svg
    assert "160" not in svg


def test_only_what_exceeds_chance_is_coloured() -> None:
    table = rows("training_parameters", 1, 2).assign(correlation=[0.95, 0.3])

    figure: Any = training.draw_parameters(table)

    low, high = (patch.get_facecolor() for patch in figure.axes[0].patches[:2])
    assert low[:3] != high[:3]  # the largest is drawn last, on top


def test_a_pipeline_draws_its_own_rows_and_no_others() -> None:
    both = rows("training_candidates", 2, 1).assign(
        pipeline=["sklearn_training", "xgboost_training"]
    )

    draw = training.for_pipeline(training.draw_searched, "xgboost_training")

    assert draw is training.for_pipeline(training.draw_searched, "xgboost_training")
    page = to_html(draw(both))
    assert EVERY[1] in page and EVERY[0] not in page
