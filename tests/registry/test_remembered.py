"""Which source a command goes on with: explicit settings, else what the champion learned from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import ConfigurationError
from mlops.registry import remembered
from mlops.registry.remembered import months_learned, remember, source_in_force
from mlops.settings import Settings, SourceSettings, load_settings

VALUES = {
    "kind": st.sampled_from(["sample", "tlc", "path"]),
    "taxi": st.sampled_from(["green", "yellow"]),
    "months": st.sampled_from(["2024-01", "2023-11..2024-02"]),
    "location": st.sampled_from(["/trips", "s3://bucket/trips", ""]),
    "sample_rows": st.integers(100, 10_000),
    "sample_drift": st.sampled_from([0.0, 0.5]),
}
SOME = st.fixed_dictionaries({}, optional=VALUES)


@given(explicit=SOME, learned=SOME)
def test_what_is_given_wins_then_what_was_learned_from_then_the_default(
    explicit: dict[str, Any], learned: dict[str, Any]
) -> None:
    found = remember(SourceSettings(**explicit), {**learned, "no_setting_any_more": 1})
    expected = {**SourceSettings().model_dump(), **learned, **explicit}
    assert found.model_dump() == expected
    assert remember(found, {"taxi": "yellow", "kind": "tlc"} if explicit else learned).model_dump(
        include=set(explicit)
    ) == {name: expected[name] for name in explicit}
    assert remember(found, learned) == found


def test_a_remembered_value_that_is_not_valid_any_more_names_itself() -> None:
    with pytest.raises(ConfigurationError, match=r"source\.kind='kafka'"):
        remember(SourceSettings(), {"kind": "kafka"})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return load_settings()


def champion(monkeypatch: pytest.MonkeyPatch, **source: Any) -> None:
    files = (SimpleNamespace(month="2024-02"), SimpleNamespace(month="2024-01"))
    receipt = SimpleNamespace(recipe={"source": source}, sources=files)
    found = SimpleNamespace(version=3, receipt=receipt)
    monkeypatch.setattr(remembered, "find_version", lambda settings, alias: found)


def test_the_champions_source_is_in_force_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion(monkeypatch, kind="path", location="/trips", taxi="yellow", months="2024-01..2024-02")
    found = source_in_force(settings)
    assert found.source.model_dump(include={"kind", "location", "taxi"}) == {
        "kind": "path",
        "location": "/trips",
        "taxi": "yellow",
    }
    assert found.summary == (
        "source: path (/trips), yellow taxi, 2024-01..2024-02, "
        "as version 3, the champion, learned from"
    )
    assert found.overrides(settings) == {
        "source.kind": "path",
        "source.location": "/trips",
        "source.taxi": "yellow",
        "source.months": "2024-01..2024-02",
    }
    assert months_learned(found.settings) == ("2024-01", "2024-02")


@pytest.mark.parametrize("how", ["variable", "environment"])
def test_an_explicit_value_wins_however_it_is_given(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    champion(monkeypatch, kind="tlc", taxi="yellow", months="2024-01")
    if how == "environment":
        monkeypatch.setenv("MLOPS_SOURCE__TAXI", "green")
    asked = load_settings({"taxi": "green"} if how == "variable" else {})
    found = source_in_force(asked)
    assert (found.source.kind, found.source.taxi) == ("tlc", "green")
    assert found.summary.endswith("learned from, but for taxi as given")
    assert months_learned(found.settings) == (), "another taxi's months are not known yet"


def test_another_dataset_remembers_its_files_and_knows_no_kinds_of_sources(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion(monkeypatch, location="/flights", months="2024-01..2024-02")
    found = source_in_force(load_settings({"dataset": "flights"}))
    assert found.source.location == "/flights"
    assert found.summary == (
        "source: flights (/flights), 2024-01..2024-02, as version 3, the champion, learned from"
    )
    elsewhere = source_in_force(load_settings({"dataset": "flights", "location": "/new"}))
    assert elsewhere.source.location == "/new"
    assert months_learned(elsewhere.settings) == ("2024-01", "2024-02")


def test_a_source_given_in_full_needs_no_registry(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "find_version", lambda settings, alias: pytest.fail("asked"))
    full = load_settings({f"source.{n}": v for n, v in settings.source.model_dump().items()})
    assert source_in_force(full).settings is full


def test_without_a_champion_the_source_is_the_one_configured_and_nothing_is_created(
    settings: Settings,
) -> None:
    found = source_in_force(settings)
    assert found.settings is settings and found.summary.endswith("as configured")
    assert not list(settings.home.iterdir())


def test_a_relative_location_is_remembered_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = SourceSettings(location="trips, s3://bucket/x,/data/a.parquet")
    assert source.location == f"{tmp_path}/trips,s3://bucket/x,/data/a.parquet"
