"""Which colour means what: a family, version, role or state looks the same in every chart.

The hues are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which the colour-blind
can tell apart. They are legible on light and on dark pages; only its yellow is darkened for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
OCHRE: Final = "#9A8F00"  # their yellow, #F0E442, cannot be seen on white
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
VIOLET: Final = "#8F6FE0"  # these four are not theirs: eleven families need eleven colours
BROWN: Final = "#A8643C"
LIME: Final = "#86B817"
TEAL: Final = "#3E8E9B"
GREY: Final = "#8C8C8C"
# Text, axes and grids: `frame.to_svg` writes it as ``currentColor``, so it suits the page around.
INK: Final = "#333A41"
_VERSION: Final = re.compile(r"version \d+ \((?P<family>\w+)\)")


class LineStyle(NamedTuple):
    """How a line is drawn; dash and marker tell apart what overlaps, and what is printed grey."""

    colour: str
    dash: str = "-"
    marker: str = "o"


FAMILIES: Final[Mapping[str, LineStyle]] = {
    "squared_error": LineStyle(BLUE, "-", "o"),
    "absolute_error": LineStyle(SKY, "-", "s"),
    "quantiles": LineStyle(PURPLE, "-", "D"),
    "hist_gradient_boosting": LineStyle(ORANGE, "-", "v"),
    "random_forest": LineStyle(GREEN, "-", "p"),
    "extra_trees": LineStyle(LIME, "--", "P"),
    "linear_regression": LineStyle(OCHRE, "-", "^"),
    "lasso": LineStyle(BROWN, "--", "<"),
    "linear_svr": LineStyle(VIOLET, ":", ">"),
    "group_median": LineStyle(TEAL, "--", "x"),
    "global_mean": LineStyle(GREY, ":", "+"),
}

# Of what is numbered. Neighbours differ most; vermillion is left to what is wrong.
HUES: Final = (BLUE, ORANGE, GREEN, PURPLE, BROWN, SKY, VIOLET, OCHRE)

ROLES: Final[Mapping[str, str]] = {
    "champion": BLUE,
    "challenger": ORANGE,
    "canary": ORANGE,
    "shadow": PURPLE,
    "previous": SKY,
    "reference": GREY,
    "limit": VERMILLION,
    "train": SKY,
    "validation": OCHRE,
    "test": PURPLE,
    "kept": BLUE,
    "quarantined": VERMILLION,
    "flagged": OCHRE,
}

STATES: Final[Mapping[str, str]] = {
    # of a champion, and of a finding
    "ok": GREEN,
    "warn": ORANGE,
    "retrain": VERMILLION,
    "rollback": PURPLE,
    "alarm": VERMILLION,
    "unjudged": GREY,
    # of candidates
    "winner": BLUE,
    "baseline": GREY,
    # of the gate, of deployments and of runs
    "passed": GREEN,
    "refused": VERMILLION,
    "completed": GREEN,
    "promoted": GREEN,
    "kept": GREEN,
    "running": SKY,
    "initial": GREY,
    "cancelled": GREY,
    "rolled back": PURPLE,
    "failed": VERMILLION,
}


def look(family: str) -> LineStyle:
    """Return how a model family is drawn; one that is not known yet is black-and-white.

    Args:
        family: Its name, or that of a version of it: ``version 3 (lasso)``.
    """
    version = _VERSION.fullmatch(family)
    return FAMILIES.get(version["family"] if version else family, LineStyle(INK, "-.", "*"))


def version_colour(version: int) -> str:
    """Return the colour of a model version; after eight of them colours come again."""
    return HUES[(version - 1) % len(HUES)]


def state_colour(state: str) -> str:
    """Return the colour of a state, whatever its case; grey for one that is not known."""
    return STATES.get(state.lower().replace("_", " "), GREY)
