"""The pictures of the dashboard Serving, from nothing, next to nothing and a lot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mlops.drawing import serving
from mlops.drawing.frame import to_html
from mlops.observability.serving_tables import TABLES

DRAWN: Mapping[str, Callable[[pd.DataFrame], Any]] = {
    "serving_now": serving.draw_now,
    "serving_requests": serving.draw_requests,
    "serving_latency": serving.draw_latency,
    "serving_errors": serving.draw_errors,
    "serving_predictions": serving.draw_predictions,
    "serving_comparison": serving.draw_comparison,
}
WHO = (("champion", 3), ("canary", 4), ("reference", 3), ("shadow", 5))
AT = pd.Timestamp("2024-03-01 08:00", tz="UTC")


def rows(name: str, times: int, kinds: int) -> pd.DataFrame:
    """Return a table of so many times and kinds of rows."""
    table = TABLES[name]
    frame = pd.DataFrame(
        [
            {
                **dict.fromkeys(table.columns, 0.5),
                "at": AT + pd.Timedelta(minutes=5 * k),
                "since": AT,
                "until": AT + pd.Timedelta(hours=1),
                "champion_since": AT,
                "version": WHO[i % 4][1],
                "role": WHO[i % 4][0],
                "family": "lasso",
                "champion_family": "lasso",
                "beside_family": "",
                "mode": "",
                "problem": "",
                "up": True,
                "champion": 3.0,
                "beside": np.nan,
                "percent": np.nan,
                "endpoint": f"/predict{i}",
                "status": ("200", "422", "500")[i % 3],
                "kind": f"{400 + i} /predict",
                "low": float(k),
                "high": np.inf if k == times - 1 else float(k + 1),
            }
            for i in range(kinds)
            for k in range(times)
        ]
    )
    return table.shaped(frame)


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_a_sentence(name: str) -> None:
    page = DRAWN[name](TABLES[name].empty)

    assert 'class="empty"' in page
    assert "<code>mlops serve</code>" in page


@pytest.mark.parametrize(("times", "kinds"), [(1, 1), (300, 4), (20, 12)])
@pytest.mark.parametrize("name", DRAWN)
def test_little_and_much_are_drawn(
    name: str,
    times: int,
    kinds: int,
    in_words: Callable[[Any], Any],
    assert_legible: Callable[[Figure], None],
) -> None:
    drawn = in_words(DRAWN[name])(rows(name, times, kinds))

    if isinstance(drawn, Figure):
        assert_legible(drawn)
        assert drawn.axes[0].get_title(loc="left")
        assert drawn.axes[0].get_ylabel()
    assert 0 < len(to_html(drawn)) < 500_000


def test_many_kinds_of_errors_are_counted_together() -> None:
    page = to_html(serving.draw_errors(rows("serving_errors", 3, 12)))

    assert "other: 10" in page  # seven of twelve kinds, 1.5 each
    assert "400 /predict" in page


def test_a_server_out_of_reach_says_so_and_what_to_do() -> None:
    now = rows("serving_now", 1, 1).assign(up=False, per_second=np.nan, failed_share=np.nan)

    page = str(serving.draw_now(now))

    assert "not reached" in page and "<code>mlops serve</code>" in page
    assert ">none<" in page and "<code>mlops deploy VERSION</code>" in page
    assert "nan" not in page


def test_a_problem_of_the_server_is_told_as_text() -> None:
    now = rows("serving_now", 1, 1).assign(problem="registry <away>")

    assert "registry &lt;away&gt;" in str(serving.draw_now(now))


def test_a_canary_is_named_with_its_share_and_end() -> None:
    now = rows("serving_now", 1, 1).assign(beside=4.0, mode="canary", percent=10.0)

    page = str(serving.draw_now(now))

    assert "version 4" in page and "canary, 10 % of requests until 09:00 UTC" in page


def shares(version: int, share_below: Mapping[float, float]) -> pd.DataFrame:
    """Return the table of one version: the shares of buckets, by their upper ends."""
    high = [-1e6, -20, -10, -0.1, 0, 0.1, 10, 20, 50, 1e6, np.inf]
    share = [share_below.get(bound, 0.0) for bound in high]
    table = pd.DataFrame({"low": [-np.inf, *high[:-1]], "high": high, "share": share})
    return table.assign(version=version, role="champion" if version == 1 else "canary", rows=1e5)


def drawn_bars(table: pd.DataFrame) -> tuple[list[list[float]], tuple[float, float]]:
    """Return the areas of the bars of each version, and the limits of the axis."""
    (on,) = serving.draw_predictions(table).axes
    steps = [patch.get_data() for patch in on.patches]
    return [(each.values * np.diff(each.edges)).tolist() for each in steps], on.get_xlim()


def test_an_axis_of_predictions_spans_the_data_below_zero_too() -> None:
    champion = shares(1, {-10: 0.5, 0: 0.25, 10: 0.25})
    canary = shares(2, {-0.1: 0.5, 20: 0.5})

    areas, limits = drawn_bars(pd.concat([champion, canary]))

    # then narrow buckets about zero are one bar with a neighbour, and no share is lost
    assert limits == (-20, 20)
    assert areas == [pytest.approx([50, 0, 50, 0]), pytest.approx([0, 50, 0, 50])]


@pytest.mark.parametrize(
    ("end", "limits", "area"),
    [(np.inf, (50, 1e6), 0), (-1e6, (-1e6, -20), 0), (50, (20, 50), 100)],
)
def test_predictions_of_one_bucket_are_drawn_wherever_it_is(
    end: float, limits: tuple[float, float], area: float
) -> None:
    assert drawn_bars(shares(1, {end: 1.0})) == ([[pytest.approx(area)]], limits)
