"""A first look at tables of many shapes: what is guessed is right, or says that it is unsure."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.declared.reading import read_table
from mlops.datasets.declared.splitting import split_rows
from mlops.datasets.guessing.proposal import Proposal, propose
from mlops.datasets.guessing.request import Request
from mlops.datasets.guessing.sampling import sample_files
from mlops.datasets.guessing.writing import definition_text
from mlops.datasets.loading import parse_definition
from mlops.datasets.thinning import thinned
from mlops.errors import ConfigurationError, SourceError

RNG = np.random.default_rng(0)
N = 3_000


def guess(path: Path, *paths: Path, **request: str) -> Proposal:
    """Guess a definition, and prove that what would be written is one."""
    sample = sample_files([path, *paths])
    proposal = propose(sample, Request(**request))
    parse_definition(definition_text(proposal, sample.rows, sample.sampled), "dataset.yaml")
    return proposal


def orders(rows: int = N) -> pd.DataFrame:
    """Deliveries: a row per order, of which the target is the time that it takes."""
    created = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        np.sort(RNG.integers(0, 60 * 24 * 120, rows)), unit="min"
    )
    shop = RNG.choice(["north", "south", "east"], rows)
    km = RNG.lognormal(1, 0.5, rows).round(2)
    minutes = (10 + 3 * km + pd.Series(shop).map({"north": 9, "south": 0, "east": 4})).to_numpy()
    minutes = (minutes + RNG.gamma(2, 3, rows)).round()
    frame = pd.DataFrame(
        {
            "order_id": np.arange(rows) + 10_000,
            "created_at": created,
            "delivered_at": created + pd.to_timedelta(minutes, unit="min"),
            "shop": shop,
            "courier_id": RNG.integers(1, 40, rows),
            "distance_km": km,
            "items": RNG.poisson(3, rows) + 1,
            "express": RNG.choice(["yes", "no"], rows),
            "note": "see the remarks of the customer about the door, number "
            + pd.Series(km).astype(str),
            "minutes": minutes,
        }
    )
    frame.loc[::7, "items"] = np.nan
    return frame


def test_the_roles_of_a_table_of_events_are_found(tmp_path: Path) -> None:
    file = tmp_path / "My Orders.csv.gz"
    orders().to_csv(file, index=False)

    proposal = guess(file, target="minutes")
    content = proposal.content

    assert content["name"] == "my_orders"
    assert content["task"] == {"target": "minutes", "unit": "minutes"}
    assert content["time"]["event"] == "created_at"
    assert content["time"]["outcome"] == "delivered_at"
    assert content["time"]["zone"] == "UTC"
    assert "zone of the clock" in proposal.comments[("time", "zone")]
    assert content["key"] == ["order_id"]
    assert content["features"] == {
        "shop": {"type": "category"},
        "courier_id": {"type": "category"},
        "distance_km": {"type": "number", "unit": "km"},
        "items": {"type": "number", "optional": True},
        "express": {"type": "flag"},
    }
    assert "free text" in proposal.left_out["note"]
    assert content["split"]["by"] == "time"
    assert content["slices"]["part of day"] == {"hours_of": "created_at"}
    assert content["slices"]["shop"] == "shop"
    assert content["histories"]["shop"]["by"] == ["shop"]
    assert content["rules"][0] == {
        "name": "minutes_negative",
        "column": "minutes",
        "between": [0, None],
        "otherwise": "quarantine",
    }
    assert {rule["otherwise"] for rule in content["rules"][1:]} == {"flag"}
    assert [row["column"] for row in proposal.report] == [*orders(10)]
    assert all(row["evidence"] for row in proposal.report)


def test_columns_that_know_the_future_are_left_out_with_a_reason(tmp_path: Path) -> None:
    frame = orders()
    frame["score"] = frame.minutes.rank()
    frame["late"] = frame.minutes > 30
    frame["invoiced_at"] = frame.delivered_at + pd.Timedelta(hours=5)
    frame["hour_of_delivery"] = frame.delivered_at.dt.hour
    frame["shop_mean"] = frame.groupby("shop").minutes.transform("mean")
    frame["planned_at"] = frame.created_at + pd.to_timedelta(RNG.normal(0, 5, N), unit="min")
    frame.to_parquet(tmp_path / "orders.parquet")

    proposal = guess(tmp_path / "orders.parquet", target="minutes", time="created_at")

    planted = {"score", "late", "invoiced_at", "hour_of_delivery", "shop_mean"}
    assert planted <= {*proposal.left_out}
    assert not planted & {*proposal.content["features"]}
    assert "planned_at" in proposal.content["features"]
    assert "later than created_at in 100%" in proposal.left_out["invoiced_at"]


def test_what_a_person_names_is_taken(tmp_path: Path) -> None:
    orders().to_csv(tmp_path / "o.csv", index=False)

    proposal = guess(
        tmp_path / "o.csv",
        target="distance_km",
        time="delivered_at",
        name="mine",
        title="How far?",
        zone="Europe/Rome",
    )

    assert proposal.content["name"] == "mine"
    assert proposal.content["title"] == "How far?"
    assert proposal.content["time"]["event"] == "delivered_at"
    assert proposal.content["time"]["zone"] == "Europe/Rome"
    assert ("time", "zone") not in proposal.comments
    assert ("title",) not in proposal.comments


def test_a_table_without_times_is_split_at_random_or_by_the_entity_that_repeats(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"x": RNG.normal(size=400), "patient_id": RNG.integers(0, 60, 400)})
    frame["y"] = frame.x + RNG.normal(size=400)
    frame.drop(columns="patient_id").to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False)

    alone, repeated = (guess(tmp_path / f"{name}.csv", target="y").content for name in "ab")

    assert alone["split"] == {"by": "random", "validation": 0.2, "test": 0.2}
    assert repeated["split"]["by"] == "group"
    assert repeated["split"]["group"] == ["patient_id"]
    assert "time" not in alone
    assert "histories" not in alone


def test_monthly_files_are_one_location_and_columns_that_some_lack_are_left_out(
    tmp_path: Path,
) -> None:
    frame = orders(900)
    frame.to_parquet(tmp_path / "o_2024-01.parquet")
    frame.drop(columns="express").assign(tip=1.0).to_parquet(tmp_path / "o_2024-02.parquet")
    frame.assign(items=frame["items"].astype("float32")).to_parquet(tmp_path / "o_2024-03.parquet")

    for paths in ([tmp_path], sorted(tmp_path.glob("*.parquet"))):
        proposal = guess(*paths, target="minutes")
        source = proposal.content["source"]
        assert source == {"location": str(tmp_path / "o_{month}.parquet"), "partition": "month"}
        assert proposal.left_out["tip"] == "only 1 of 3 files have it"
        assert proposal.left_out["express"] == "only 2 of 3 files have it"
        assert proposal.content["features"]["items"]["type"] == "number"


def test_files_without_one_location_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        orders(50).to_csv(tmp_path / f"{name}.csv", index=False)

    with pytest.raises(SourceError, match="2 files are no table with one location"):
        sample_files([tmp_path / "a.csv", tmp_path / "b.csv"])
    whole = sample_files([tmp_path / f"{name}.csv" for name in ("a", "b", "c")])
    assert whole.location == str(tmp_path)
    assert whole.rows == 150


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1.5", "2", "-3e2"], {"type": "number"}),
        (["007", "010", "123"], {"type": "category"}),
        (["yes", "no", "Yes"], {"type": "flag"}),
        (["0", "1", "1"], {"type": "flag"}),
        (["1", "2", "2"], {"type": "category"}),
        (["a", "b", None], {"type": "category", "optional": True}),
        (["2024-01-01", "2024-01-02", "2024-05-01"], None),  # the event
        (["31.12.2024", "01.01.2025", "02.01.2025"], "times such as 31.12.2024; write 2024-03-31"),
        (["5", "5", "5"], "always the same value (5.0)"),
        ([None, None, None], "has no values"),
        ([[1], [2], [3]], "holds list<element: int64>, not one value per row"),
    ],
)
def test_types_are_told_from_values(
    values: list[Any], kind: dict[str, Any] | str | None, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"v": values * 40, "x": RNG.normal(size=120)})
    frame["y"] = frame.x + RNG.normal(size=120)
    frame.to_parquet(tmp_path / "t.parquet")

    proposal = guess(tmp_path / "t.parquet", target="y")

    if isinstance(kind, str):
        assert proposal.left_out["v"] == kind
    elif kind is None:
        assert proposal.content["time"]["event"] == "v"
    else:
        assert proposal.content["features"]["v"] == kind


def test_codes_are_told_from_quantities_by_how_the_target_depends_on_them(tmp_path: Path) -> None:
    effect = RNG.normal(0, 5, 60)
    frame = pd.DataFrame({"line": RNG.integers(0, 60, N), "weight": RNG.integers(0, 60, N)})
    frame["y"] = effect[frame.line] + frame.weight / 5 + RNG.normal(size=N)
    frame.to_csv(tmp_path / "t.csv", index=False)

    proposal = guess(tmp_path / "t.csv", target="y")

    assert proposal.content["features"]["line"] == {"type": "category"}
    assert proposal.content["features"]["weight"] == {"type": "number"}
    assert "single ones" in proposal.comments[("features", "line")]


def test_counters_of_rows_and_levels_are_recognised(tmp_path: Path) -> None:
    hours = RNG.integers(0, 24, 600)
    frame = pd.DataFrame(
        {"instant": np.arange(600) * 3 + 7, "hour": hours, "x": RNG.normal(size=600)}
    )
    frame["y"] = frame.hour + frame.x
    frame.to_csv(tmp_path / "t.csv", index=False)

    proposal = guess(tmp_path / "t.csv", target="y")

    assert "instant" not in proposal.content["features"]
    assert proposal.content["key"] == ["instant"]
    [rule] = [rule for rule in proposal.content["rules"] if rule["column"] == "hour"]
    assert rule["between"] == [0, 23]


@pytest.mark.parametrize(("days", "half_life"), [(1, "1d"), (60, None)])
def test_the_half_life_of_a_history_is_measured(
    days: int, half_life: str | None, tmp_path: Path
) -> None:
    # given shops whose sales drift from day to day, or hardly ever
    rng = np.random.default_rng(3)
    drift = rng.normal(0, 1 / days, (120, 4)).cumsum(axis=0) + rng.normal(0, 2, 4)
    day, shop = rng.integers(0, 120, 6_000), rng.integers(0, 4, 6_000)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(day * 24 + 9, unit="h")
    frame = pd.DataFrame({"at": at, "shop": np.array(list("abcd"))[shop]})
    frame["y"] = drift[day, shop] + rng.normal(size=6_000)
    frame.to_parquet(tmp_path / "t.parquet")

    [history] = guess(tmp_path / "t.parquet", target="y").content["histories"].values()

    assert history.get("half_life") == half_life


def test_a_test_window_holds_enough_rows(tmp_path: Path) -> None:
    # given a table of two years with few rows a month, and one of three months with many
    for name, days, rows in (("thin", 700, 2_000), ("dense", 100, 4_000)):
        at = pd.Timestamp("2022-01-01") + pd.to_timedelta(RNG.uniform(0, days, rows), unit="D")
        frame = pd.DataFrame({"at": at.floor("s"), "x": RNG.normal(size=rows)})
        frame.assign(y=frame.x + RNG.normal(size=rows)).to_csv(
            tmp_path / f"{name}.csv", index=False
        )

    thin = guess(tmp_path / "thin.csv", target="y").content["split"]
    dense = guess(tmp_path / "dense.csv", target="y").content["split"]

    assert thin["test"] == "139d"
    assert dense["test"] == "1 month"


def test_words_among_numbers_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"v": ["1.5"] * 58 + ["unknown", "2"], "x": np.arange(60) % 7})
    frame["y"] = frame.x + RNG.normal(size=60)
    frame.to_csv(tmp_path / "t.csv", index=False)

    proposal = guess(tmp_path / "t.csv", target="y")

    assert proposal.content["source"]["missing"] == ["unknown"]
    assert proposal.content["features"]["v"] == {"type": "number", "optional": True}


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    y = RNG.normal(size=100).round(2)
    frame = pd.DataFrame(
        {"preis": y + RNG.normal(size=100).round(2), "menge": y, "ort": ["a,b"] * 100}
    )
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")

    content = guess(tmp_path / "t.csv", target="menge").content

    assert content["source"]["decimal"] == ","
    assert content["features"]["preis"] == {"type": "number"}


def test_times_with_zones_are_converted_and_said_to_carry_them(tmp_path: Path) -> None:
    frame = orders(500)
    for name in ("created_at", "delivered_at"):
        frame[name] = frame[name].dt.tz_localize("UTC").dt.tz_convert("Europe/Rome")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")

    notes = {"t.csv": "carry their zone", "t.parquet": "the files name Europe/Rome"}
    for name, note in notes.items():
        proposal = guess(tmp_path / name, target="minutes")
        assert proposal.content["time"]["event"] == "created_at"
        assert note in proposal.comments[("time", "zone")]


@pytest.mark.parametrize(
    ("target", "more", "message", "hint"),
    [
        ("minute", {}, "--target minute: there is no such column", "did you mean minutes?"),
        ("shop", {}, "only numbers can be predicted", "name a column of numbers"),
        ("fixed", {}, "all rows have the same value", "name another column"),
        ("twice", {}, "2 columns have this name", "correct the files"),
        ("minutes", {"time": "shop"}, "--time shop: this is no time", "created_at"),
        ("minutes", {"zone": "Europe/Roma"}, "this is no time zone", "did you mean Europe/Rome?"),
        ("minutes", {"name": "My Data"}, "this is no name", "use small letters"),
        ("minutes", {"outcome": "delivered"}, "there is no such column", "delivered_at"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    target: str, more: dict[str, str], message: str, hint: str, tmp_path: Path
) -> None:
    frame = orders(200).assign(fixed=1)
    frame = pd.concat([frame, frame.shop.rename("twice"), frame.shop.rename("twice")], axis=1)
    frame.to_csv(tmp_path / "t.csv", index=False)

    with pytest.raises(ConfigurationError) as refusal:
        guess(tmp_path / "t.csv", target=target, **more)

    assert message in refusal.value.message
    assert hint in refusal.value.hint


def test_all_that_is_wrong_with_a_request_is_named_at_once(tmp_path: Path) -> None:
    # Given a request in which nothing is right
    orders(200).to_csv(tmp_path / "t.csv", index=False)
    wrong = {"time": "create_at", "outcome": "shop", "zone": "Europe/Roma", "name": "My Data"}

    # When a definition is asked for
    with pytest.raises(ConfigurationError) as refusal:
        guess(tmp_path / "t.csv", target="minute", **wrong)

    # Then each option has its line, with what to write instead
    first, *lines = refusal.value.message.splitlines()
    assert "5 options" in first
    assert [line.split()[0] for line in lines] == [
        *("--name", "--zone", "--target", "--time", "--outcome")
    ]
    for word in ("Europe/Rome?", "minutes?", "created_at?", "small letters", "times are: "):
        assert word in refusal.value.message


def test_a_table_of_no_features_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"y": RNG.normal(size=100)})
    frame.assign(twin=frame.y * 2).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "empty.csv").write_text("x,y\n")

    with pytest.raises(ConfigurationError, match="no column is left to learn y from: twin"):
        guess(tmp_path / "t.csv", target="y")
    with pytest.raises(SourceError, match="no rows"):
        guess(tmp_path / "empty.csv", target="y")


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_a_few_rows_are_enough_for_a_definition(rows: int, tmp_path: Path) -> None:
    orders(rows).to_csv(tmp_path / "t.csv", index=False)

    content = guess(tmp_path / "t.csv", target="minutes").content

    assert content["time"]["event"] == "created_at"


def test_names_of_columns_may_be_anything(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a: b #c": RNG.normal(size=60), "'quoted'": ["x", "y"] * 30, "no": range(60)}
    )
    frame["- {y}"] = frame["a: b #c"] + RNG.normal(size=60)
    frame["höhe (cm)"] = RNG.normal(size=60)
    frame[""] = range(60)
    frame.to_csv(tmp_path / "2024.csv", index=False)

    proposal = guess(tmp_path / "2024.csv", target="- {y}")

    assert proposal.content["name"] == "table_2024"
    assert proposal.content["features"]["höhe (cm)"] == {"type": "number", "unit": "cm"}
    assert proposal.left_out[""] == "has no name"


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_a_thinned_stream_is_spread_over_all_of_it(sizes: list[int], limit: int) -> None:
    # given batches of consecutive numbers
    ends = np.cumsum(sizes)
    batches = [list(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]

    kept, rows = thinned(
        batches, limit, lambda parts: [*chain(*parts)], lambda part, first, step: part[first::step]
    )

    # then what stays are every so many of them, from the first on
    assert rows == sum(sizes)
    if kept:
        step = kept[1] - kept[0] if len(kept) > 1 else rows
        assert kept == list(range(0, rows, step)) or len(kept) == 1
        assert len(kept) <= limit
        assert len(kept) * 2 > min(limit, rows) - 1


@pytest.mark.parametrize("timed", [True, False])
def test_a_guessed_definition_is_one_that_rows_are_read_and_encoded_by(
    timed: bool, tmp_path: Path
) -> None:
    # given a definition of a table that nobody has prepared
    frame = orders(1_500)
    frame = frame if timed else frame.drop(columns=["created_at", "delivered_at"])
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    sample = sample_files([tmp_path / "t.csv.gz"])
    text = definition_text(propose(sample, Request("minutes")), sample.rows, sample.sampled)
    definition = parse_definition(text, "dataset.yaml")

    # when its rows are read, split and encoded
    rows = read_table(definition)
    parts = split_rows(definition, rows)
    snapshot = None
    if definition.histories:
        history = DatasetHistory(definition)
        rows = pd.concat([rows, history.annotate(rows)], axis=1)
        snapshot = history.snapshot(rows["created_at"].max().to_pydatetime())
    encoder = TableEncoder.fit(definition, rows[parts.train], snapshot)
    matrix = encoder.encode(rows, history=timed)

    # then a straight line through the features judges better than the mean
    design = np.column_stack([np.nan_to_num(matrix), np.ones(len(matrix))])
    target = rows["minutes"].to_numpy(float)
    weights = np.linalg.lstsq(design[parts.train], target[parts.train], rcond=None)[0]
    error = np.std(design[parts.test] @ weights - target[parts.test])
    assert bool(definition.histories) == timed
    assert error < 0.9 * np.std(target[parts.test])


def test_columns_that_add_up_to_the_target_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"casual": RNG.poisson(9, N), "registered": RNG.poisson(50, N)})
    frame["temperature"] = RNG.normal(10, 5, N).round(1)
    frame.assign(count=frame.casual + frame.registered).to_csv(tmp_path / "bikes.csv", index=False)

    proposal = guess(tmp_path / "bikes.csv", target="count")

    assert [*proposal.content["features"]] == ["temperature"]
    assert "casual + registered" in proposal.left_out["casual"]
    # They stay, to be checked, where there is nothing else.
    frame.pop("temperature")
    frame.assign(count=frame.casual + frame.registered).to_csv(tmp_path / "bikes.csv", index=False)
    proposal = guess(tmp_path / "bikes.csv", target="count")
    assert [*proposal.content["features"]] == ["casual", "registered"]
    assert "casual + registered" in proposal.comments[("features", "casual")]


def test_the_column_that_groups_rows_is_no_feature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer": RNG.choice([f"c{n}" for n in range(300)], N)})
    frame["x"], frame["spend"] = RNG.normal(0, 1, N), RNG.gamma(2, 9, N)
    frame.to_csv(tmp_path / "spend.csv", index=False)

    content = guess(tmp_path / "spend.csv", target="spend").content

    assert content["split"]["group"] == ["customer"]
    assert [*content["features"]] == ["x"]
    assert content["context"] == {"customer": "category"}


@pytest.mark.parametrize("name", ["Kunden Nr.", "whatever"])
def test_row_numbers_in_any_order_name_rows(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({name: RNG.permutation(N) + 500, "x": RNG.normal(0, 1, N)})
    frame["y"] = frame.x + RNG.normal(0, 1, N)
    frame.to_csv(tmp_path / "rows.csv", index=False)

    content = guess(tmp_path / "rows.csv", target="y").content

    assert (content["key"], [*content["features"]]) == ([name], ["x"])


def test_the_zone_that_files_name_is_that_of_the_dataset(tmp_path: Path) -> None:
    at = pd.date_range("2024-01-01", periods=N, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"at": at, "x": RNG.normal(0, 1, N), "y": RNG.normal(0, 1, N)})
    frame.to_parquet(tmp_path / "Größe.parquet")

    proposal = guess(tmp_path / "Größe.parquet", target="y")

    assert proposal.content["time"]["zone"] == "Europe/Berlin"
    assert proposal.content["name"] == "grosse"
    named = guess(tmp_path / "Größe.parquet", target="y", zone="Europe/Rome")
    assert named.content["time"]["zone"] == "Europe/Rome"


def test_texts_among_numbers_and_percent_signs_are_read_as_they_are_meant(tmp_path: Path) -> None:
    amount, rate = RNG.gamma(2, 40, N).round(2), RNG.choice([0, 2.5, 10, 15.5], N)
    frame = pd.DataFrame({"amount": amount, "rate": [f"{each:g} %" for each in rate]})
    frame["amount"] = frame.amount.map("{:.2f}".format)
    frame.loc[::50, "amount"] = " k.A. "
    frame["plan"] = RNG.choice(["basic", "k.A.", "gold"], N)
    frame["y"] = 2 * amount + rate + RNG.normal(0, 9, N)
    frame = frame.map(lambda each: each.replace(".", ",") if isinstance(each, str) else each)
    frame = frame.replace({" k,A, ": " k.A. ", "k,A,": "k.A."})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")

    proposal = guess(tmp_path / "t.csv", target="y")

    assert proposal.content["source"]["missing"] == ["k.A."]
    assert "missing" in proposal.comments[("source",)]
    features = proposal.content["features"]
    assert features["amount"] == {"type": "number", "optional": True}
    assert features["rate"] == {"type": "number", "unit": "%"}
    # and the reader of the definition reads them so
    rows = read_table(parse_definition(definition_text(proposal, N, N), "dataset.yaml"))
    assert np.isnan(rows["amount"][::50]).all() and rows["amount"][1::50].notna().all()
    assert rows["rate"].tolist() == rate.tolist()
    assert rows["plan"].isna().mean() == pytest.approx((frame.plan == "k.A.").mean())


@pytest.mark.parametrize("odd", [["12-15"], ["a", "b", "c", "d"]])
def test_other_texts_among_numbers_stand_for_nothing(tmp_path: Path, odd: list[str]) -> None:
    values = [*map(str, RNG.integers(0, 500, N - len(odd))), *odd]
    frame = pd.DataFrame({"a": values, "x": RNG.normal(0, 1, N), "y": RNG.normal(0, 1, N)})
    frame.to_csv(tmp_path / "t.csv", index=False)

    proposal = guess(tmp_path / "t.csv", target="y")

    assert "missing" not in proposal.content["source"]
    assert "leave such values empty" in proposal.left_out["a"]
