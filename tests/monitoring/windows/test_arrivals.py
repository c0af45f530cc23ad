"""Months arrive one by one, from whichever source, and strays ask for none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest

from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.datasets.taxi.watched.arriving import TripsArriving
from mlops.monitoring.windows.arrivals import Arrivals, months_of
from mlops.settings import Settings, load_settings

NOW = datetime(2024, 3, 10, tzinfo=timezone.utc)


@pytest.fixture
def sample(tmp_path: Path) -> Settings:
    return load_settings(
        {"home": str(tmp_path), "source.months": "2024-01", "source.sample_rows": 500}
    )


def arrivals_of(settings: Settings, *months: str) -> Arrivals:
    return Arrivals(TripsArriving(settings), months, NOW.date())


def asked_in(settings: Settings, month: str) -> pd.DataFrame:
    """Return requests about trips of a month of the source."""
    (file,) = TripsArriving(settings).there([month], NOW.date())[month]
    return read_trips(file.uri, "green")[list(REQUEST_COLUMNS)]


def test_a_month_of_the_sample_arrives_when_it_is_over(sample: Settings) -> None:
    arrivals = arrivals_of(sample, "2024-02", "2024-03")
    requests = asked_in(sample, "2024-02")

    labelled = arrivals.label(requests, ["2024-02", "2024-03"])

    assert labelled[TARGET].notna().all() and len(labelled) == len(requests)
    found = arrivals.found(["2024-02", "2024-03"])
    assert found["2024-02"] and not found["2024-03"]
    # which is news to whoever looked before, and to nobody else
    assert arrivals.news({"2024-02": "", "2024-03": ""})
    assert arrivals.news({"2024-02": "another file"})
    assert not arrivals.news(found)
    assert not arrivals.news({})


def test_only_the_last_month_of_the_sample_drifts(sample: Settings) -> None:
    # given a source whose last month drifts, as training sees it
    source = sample.source.model_copy(update={"sample_drift": 1.0, "months": "2024-01..2024-02"})
    settings = sample.model_copy(update={"source": source})
    asked = asked_in(settings, "2024-02")

    # when labels of the month before are asked for alone
    (january,) = TripsArriving(settings).there(["2024-01"], NOW.date())["2024-01"]

    assert "drift0-" in january.uri
    assert arrivals_of(settings, "2024-02").label(asked, ["2024-02"])[TARGET].notna().all()


def test_files_may_lack_any_month(tmp_path: Path, make_trips: Callable[..., pd.DataFrame]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    settings = load_settings(
        {
            "home": str(tmp_path),
            "source.kind": "path",
            "source.location": str(source),
            "source.months": "2023-01",  # what was asked for elsewhere does not matter
        }
    )
    trips = make_trips(month="2024-02")
    assert arrivals_of(settings, "2024-02").found(["2024-02"]) == {"2024-02": ""}

    trips.to_parquet(source / "green_tripdata_2024-02.parquet", index=False)

    arrivals = arrivals_of(settings, "2024-02", "2024-03")
    assert arrivals.label(trips, ["2024-02", "2024-03"])[TARGET].notna().all()
    assert TARGET not in arrivals.label(trips, ["2024-03"])


def test_a_damaged_file_leaves_labels_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "green_tripdata_2024-02.parquet").write_text("<html>")
    settings = load_settings(
        {"home": str(tmp_path), "source.kind": "path", "source.location": str(tmp_path)}
    )

    assert arrivals_of(settings, "2024-02").found(["2024-02"]) == {"2024-02": ""}
    assert "no labels can be requested now" in capsys.readouterr().out


def test_strays_ask_for_no_month() -> None:
    pickups = pd.Series(pd.to_datetime(["2024-02-03"] * 500 + ["2024-03-01"] * 20 + ["2098-01-01"]))
    pickups[0] = pd.NaT

    assert months_of(pickups) == ("2024-02", "2024-03")
    assert months_of(pickups[:0]) == ()
