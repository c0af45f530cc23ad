"""The pictures of Overview and Data: of nothing, of one row, of a lot; legible in each case."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mlops.data.months import next_month
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.watched.watching import FEATURES
from mlops.drawing import data, overview, overview_events
from mlops.drawing.frame import Drawing, to_html
from mlops.drawing.html import Html
from mlops.drawing.palette import FAMILIES, look, version_colour
from mlops.observability.data_tables import TABLES as DATA
from mlops.observability.overview_tables import TABLES as OVERVIEW

RANDOM = np.random.default_rng(1)
TABLES = {**OVERVIEW, **DATA}
TRIPS = TaxiTrips().words
NOW = pd.Timestamp("2024-03-10 12:00", tz="UTC")
LONG = "a reason that goes on and on, because somebody had a lot to say about it " * 4


def times(count: int, step: str = "1D") -> pd.DatetimeIndex:
    return pd.date_range(end=NOW, periods=count, freq=step)


def months(count: int) -> list[str]:
    found = ["2023-01"]
    while len(found) < count:
        found.append(next_month(found[-1]))
    return found[:count]


def champion(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **dict.fromkeys(TABLES["champion"].columns),
                **{"version": 12, "family": "squared_error", "promoted_at": NOW, "age_days": 3.4},
                **{"promoted_by": "retraining", "reason": LONG, "rmse": 4.98, "synthetic": True},
                **{"state": "retrain", "state_reason": LONG, "decided_at": NOW, "challenger": ""},
            }
        ]
    )


def searches(rows: int) -> pd.DataFrame:
    trainings = times(max(rows // len(FAMILIES), 1), "7D")
    pairs = itertools.islice(itertools.product(trainings, FAMILIES), rows)
    return pd.DataFrame(
        [
            {"training": at, "family": f, "rmse": 4 + RANDOM.random(), "synthetic": i % 3 == 0}
            for i, (at, f) in enumerate(pairs)
        ]
    )


def live(rows: int) -> pd.DataFrame:
    rmse = 5 + RANDOM.random(rows)
    return pd.DataFrame(
        {
            "window": [f"w{i}" for i in range(rows)],
            "end": times(rows, "6h"),
            "version": np.arange(rows) // 10 + 1,
            "family": "squared_error",
            "rmse": rmse,
            "low": np.where(np.arange(rows) % 7, rmse - 0.2, np.nan),
            "high": rmse + 0.2,
            "limit": np.where(np.arange(rows) % 5, 5.8, np.nan),
            "outcome": np.where(rmse > 5.8, "alarm", "ok"),
            "labelled": 4_000,
        }
    )


def drift(rows: int) -> pd.DataFrame:
    features = [feature.name for feature in FEATURES]
    ends = times(max(rows // len(features), 1), "6h")
    pairs = list(itertools.islice(itertools.product(ends, features), rows))
    ratio = np.where(np.arange(rows) % 11, 4 * RANDOM.random(rows), np.nan)
    outcome = np.where(np.isnan(ratio), "unjudged", np.where(ratio > 1, "alarm", "ok"))
    return pd.DataFrame(
        {
            "window": [f"{end:%d%H}" for end, _ in pairs],
            "end": [end for end, _ in pairs],
            "feature": [feature for _, feature in pairs],
            "ratio": ratio,
            "outcome": outcome,
            "why": LONG,
            **{"version": 1, "statistic": "psi", "value": 0.1, "limit": 0.1},
        }
    )


def candidates(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "family": list(itertools.islice(itertools.cycle(FAMILIES), rows)),
            "role": ["winner", *[""] * (rows - 1)],
            "synthetic": [True, *[False] * (rows - 1)],
            **{name: RANDOM.random(rows) for name in ("validation_rmse", "rmse", "mae", "mape")},
            **{name: RANDOM.random(rows) for name in ("r2", "p90_error", "trials", "seconds")},
        }
    )


def gate(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rule": [f"rule {i}" for i in range(rows)],
            "value": [np.nan, *RANDOM.random(rows - 1)],
            **{"sense": "<=", "limit": 0.05, "unit": "%", "outcome": "passed", "why": LONG},
            "winner": "lasso",
        }
    )


def runs(rows: int) -> pd.DataFrame:
    states = ("completed", "failed", "running", "cancelled", "initial")
    days = times(max(rows // 20, 1)).normalize()
    pairs = itertools.islice(itertools.product(days, range(4), states), rows)
    return pd.DataFrame(
        [{"day": d, "pipeline": f"pipeline_{p}", "status": s, "runs": 3} for d, p, s in pairs]
    )


def events(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "at": times(rows)[::-1],
            **{"kind": "deployment", "version": 3, "previous": "2", "state": "kept", "by": "ana"},
            **{"reason": LONG, "summary": LONG, "step": "retrain", "followed": "`mlops retrain`"},
        }
    )


def volume(rows: int) -> pd.DataFrame:
    read = RANDOM.integers(10, 3_000_000, rows)
    return pd.DataFrame(
        {
            "month": months(rows),
            "read": read,
            "kept": read - read // 20,
            "quarantined": read // 20,
            "synthetic": False,
        }
    )


def rules(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rule": [f"rule_{i}_of_the_contract" for i in range(rows)],
            "action": ["quarantine" if i % 2 else "flag" for i in range(rows)],
            "rows": np.arange(rows)[::-1] * 1_000 + 1,
            "share": np.arange(rows)[::-1] / 100 + 1e-6,
            "meaning": LONG,
        }
    )


def missing(rows: int) -> pd.DataFrame:
    pairs = [(m, c) for m in months(max(rows // 5, 1)) for c in "abcde"][:rows]
    return pd.DataFrame([{"month": m, "column": c, "share": RANDOM.random()} for m, c in pairs])


def trips(rows: int) -> pd.DataFrame:
    at = np.array_split(np.arange(rows), 3)
    names = np.concatenate(
        [np.full(len(part), name) for part, name in zip(at, data._WINDOWS, strict=True)]
    )
    hours = pd.date_range("2023-01-01", periods=rows, freq="h")
    counts = RANDOM.integers(0, 5_000, rows)
    return pd.DataFrame({"hour": hours, "window": names, "rows": counts})


def profiles(rows: int) -> pd.DataFrame:
    table = []
    for feature in FEATURES:
        bins = max(min(rows // len(FEATURES), 26), 1)
        shares = np.full(bins, 1 / bins)
        table += [
            {
                **{"feature": feature.name, "meaning": feature.meaning, "kind": feature.kind},
                **{"unit": feature.unit, "place": place, "now_is": "5,000 answers of today"},
                **{"low": float(place), "high": place + 1.0, "label": str(place + 1)},
                **{"reference": shares[place], "now": shares[place]},
            }
            for place in range(bins)
        ]
    return pd.DataFrame(table)


DRAWN: list[tuple[Callable[..., Drawing], str, Callable[[int], pd.DataFrame], int]] = [
    (overview.draw_champion, "champion", champion, 1),
    (overview.draw_searches, "searches", searches, 400),
    (overview.draw_live, "live_rmse", live, 24),
    (overview.draw_drift, "drift", drift, 24 * len(FEATURES)),
    (overview_events.draw_candidates, "candidates", candidates, 40),
    (overview_events.draw_gate, "gate", gate, 12),
    (data.draw_volume, "volume", volume, 13),
    (overview_events.draw_runs, "runs", runs, 280),
    (overview_events.draw_deployments, "deployments", events, 12),
    (overview_events.draw_decisions, "decisions", events, 12),
    (data.draw_rows, "hours", trips, 13 * 30 * 24),
    (data.draw_hours, "hours", trips, 13 * 30 * 24),
    (data.draw_rules, "rules", rules, 14),
    (data.draw_missing, "missing", missing, 13 * 5),
    (data.draw_numbers, "profiles", profiles, 400),
    (data.draw_categories, "profiles", profiles, 100),
    (data.draw_codes, "profiles", profiles, 160),
]
IDS = [draw.__name__ for draw, *_ in DRAWN]


@pytest.mark.parametrize(("draw", "name", "make", "most"), DRAWN, ids=IDS)
def test_without_data_there_is_a_sentence_with_a_command(
    draw: Callable[..., Drawing], name: str, make: Any, most: int
) -> None:
    found = draw(TABLES[name].empty)

    assert isinstance(found, Html)
    assert 'class="empty"' in found and "<code>mlops " in found


@pytest.mark.parametrize("full", [False, True], ids=["one row", "full"])
@pytest.mark.parametrize(("draw", "name", "make", "most"), DRAWN, ids=IDS)
def test_one_row_and_as_many_as_there_can_be_are_drawn(
    draw: Callable[..., Drawing],
    name: str,
    make: Callable[[int], pd.DataFrame],
    most: int,
    full: bool,
    in_words: Callable[[Any], Any],
    assert_legible: Callable[[Figure], None],
) -> None:
    table = make(most if full else 1)
    for column in TABLES[name].columns:
        if column not in table:
            table[column] = 1
    found = in_words(draw)(TABLES[name].shaped(table))

    html = to_html(found)
    assert len(html) < 400_000
    if isinstance(found, Figure):
        assert_legible(found)
        ElementTree.fromstring(html)
        for on in found.axes:
            assert on.get_title(loc="left"), "a chart without a title"


def test_a_champion_whose_durations_are_not_known_yet_says_so() -> None:
    html = str(overview.draw_champion(TABLES["champion"].shaped(champion(1)), TRIPS))

    assert "known when the actual duration arrives" in html and "retraining" in html
    assert "squared_error (synthetic trips)" in html and "version 12" in html


def test_a_server_with_old_code_says_so_beside_the_champion_and_no_other_does() -> None:
    told = "the server runs the code of commit c0ffee, but mlops/x.py has changed since"
    pages = [
        str(overview.draw_champion(TABLES["champion"].shaped(champion(1).assign(server=text))))
        for text in ("", told)
    ]

    assert "Server" not in pages[0]
    assert "old code" in pages[1] and told in pages[1]


def test_alarms_are_numbered_and_named_in_the_legend() -> None:
    table = TABLES["drift"].shaped(drift(len(FEATURES)).assign(ratio=2.5, outcome="alarm"))
    svg = to_html(overview.draw_drift(table))

    assert svg.count(">2.5<") == len(FEATURES)
    assert ">alarm<" in svg


def test_versions_of_one_family_are_told_apart_and_have_the_colours_of_their_cards() -> None:
    table = TABLES["live_rmse"].shaped(live(20))  # two versions of squared_error

    svg = to_html(overview.draw_live(table)).lower()

    for version in (1, 2):
        assert version_colour(version).lower() in svg
    champion_2 = TABLES["champion"].shaped(champion(1).assign(version=2))
    assert version_colour(2) in str(overview.draw_champion(champion_2))
    families = TABLES["candidates"].shaped(candidates(len(FAMILIES)))
    page = str(overview_events.draw_candidates(families))
    assert all(look(family).colour in page for family in FAMILIES)


def test_nothing_suggests_to_deploy_a_challenger_that_is_not_there() -> None:
    none = str(overview.draw_champion(TABLES["champion"].shaped(champion(1))))
    one = str(overview.draw_champion(TABLES["champion"].shaped(champion(1).assign(challenger="3"))))

    assert "mlops deploy challenger" not in none
    assert "mlops deploy challenger" in one
    for draw, name, *_ in DRAWN:
        assert "challenger" not in str(draw(TABLES[name].empty))


def test_a_champion_registered_by_hand_has_no_sentence_with_a_hole() -> None:
    bare = champion(1).assign(family="", test_trips=np.nan, rmse=np.nan, synthetic=False)
    page = str(overview.draw_champion(TABLES["champion"].shaped(bare)))

    assert "registered without metrics" in page and "family unknown" in page


def test_baselines_do_not_flatten_the_others() -> None:
    table = pd.DataFrame(
        {
            "training": NOW,
            "family": ["squared_error", "lasso", "global_mean"],
            "rmse": [4.6, 4.9, 9.6],
            "synthetic": False,
        }
    )
    made = overview.draw_searches(table)

    assert isinstance(made, Figure)
    assert made.axes[0].get_ylim()[1] < 6
    assert "global_mean 9.6" in made.axes[0].get_xlabel()


def test_data_without_a_bad_row_say_so() -> None:
    found = data.draw_rules(TABLES["rules"].shaped(rules(3).assign(rows=0, share=0.0)))

    assert "No row broke any rule" in str(found)
