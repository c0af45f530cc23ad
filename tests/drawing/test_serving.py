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
