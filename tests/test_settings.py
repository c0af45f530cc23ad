"""The configuration is strict, layered and says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops.errors import ConfigurationError
from mlops.settings import ALIASES, NAME, Settings, is_setting, load_settings, setting_names


def test_by_default_windows_wait_for_labels_that_come_two_months_after_their_month() -> None:
    longest_month, publication = 31, 62

    assert load_settings().monitoring.label_wait_days >= longest_month + publication


def test_defaults_need_nothing() -> None:
    settings = load_settings()

    assert settings.source.kind == "sample"
    assert settings.store.parent == settings.home


def test_the_months_of_another_dataset_are_all_that_there_are() -> None:
    flights = load_settings({"dataset": "flights"}).source
    assert (flights.months, flights.month_list) == ("all", ())
    # It is a default: nobody gave it
    assert "months" not in flights.model_fields_set
    assert load_settings({"dataset": "flights", "taxi": "yellow"}).source.months == "all"
    assert load_settings({"dataset": "flights", "months": "2013-01"}).source.months == "2013-01"
    assert load_settings({"dataset": "flights", "months": "all"}).source.month_list == ()
    with pytest.raises(ConfigurationError, match="name months such as 2024-01"):
        load_settings({"months": "all"})


def test_overrides_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a value in the environment and another beside it
    monkeypatch.setenv("MLOPS_TRAINING__SEED", "3")
    monkeypatch.setenv("MLOPS_TRAINING__MAX_EVALS", "4")

    # when one of them is overridden
    settings = load_settings({"training.seed": 5})

    # then only that one changes
    assert settings.training.seed == 5
    assert settings.training.max_evals == 4


def test_an_empty_home_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_HOME", "")

    with pytest.raises(ConfigurationError, match="home"):
        load_settings()


def test_the_worked_case_keeps_its_places_and_names() -> None:
    settings = load_settings()

    assert settings.dataset == "taxi"
    assert settings.state == settings.home
    assert (settings.tracking.experiment, settings.tracking.model_name) == ("trip-duration",) * 2


NAMES = st.from_regex(re.compile(NAME, re.ASCII), fullmatch=True).filter(
    lambda name: "\n" not in name
)


@given(NAMES, NAMES)
def test_two_datasets_share_no_place(one: str, other: str) -> None:
    # given two datasets in one home
    assume(one != other)
    first, second = (load_settings({"dataset": name}) for name in (one, other))

    # then whatever belongs to one of them is nowhere that the other looks
    assert not places(first) & places(second)
    for inner, outer in ((first, second), (second, first)):
        assert not any(
            place.is_relative_to(holder) for place in places(inner) for holder in places(outer)
        )
    assert first.tracking.model_name != second.tracking.model_name
    assert first.tracking.experiment != second.tracking.experiment
    assert (first.logs, first.tracking_uri) == (second.logs, second.tracking_uri)


def places(settings: Settings) -> set[Path]:
    """Return every path of the settings but those of the whole installation."""
    own = {
        name: getattr(settings, name)
        for name, member in vars(Settings).items()
        if isinstance(member, property) and isinstance(getattr(settings, name), Path)
    }
    assert {"store", "served", "registry", "runs", "observed", "incidents"} <= set(own)
    return {path for name, path in own.items() if name not in ("state", "logs")}


def test_what_is_given_for_tracking_wins_over_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a dataset, and a name for its model
    monkeypatch.setenv("MLOPS_DATASET", "flights")
    monkeypatch.setenv("MLOPS_TRACKING__MODEL_NAME", "delays")

    # when
    tracking = load_settings().tracking

    # then only what is not given follows the dataset
    assert (tracking.model_name, tracking.experiment) == ("delays", "flights")


def test_the_same_configuration_works_on_another_dataset() -> None:
    given = {"home": "/tmp/somewhere", "tracking.experiment": "ours", "training.seed": 3}
    taxi = load_settings(given)

    for name in ("flights", "houses", "taxi"):
        other = taxi.working_on("parcels").working_on(name)
        assert other.model_dump() == load_settings({**given, "dataset": name}).model_dump()
    assert taxi.working_on("taxi") is taxi


@pytest.mark.parametrize("name", ["", "Flights", "flights/2013", "2013", "a b", "..", "flights\n"])
def test_a_dataset_has_a_name_that_is_a_folder_on_every_system(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"dataset: .* is no name of a dataset") as raised:
        load_settings({"dataset": name})

    assert "small letters" in raised.value.hint


def test_aliases_name_real_settings() -> None:
    assert all(is_setting(path) for path in ALIASES.values())


def test_lists_may_be_comma_separated() -> None:
    assert load_settings({"families": "lasso, global_mean"}).training.families == (
        "lasso",
        "global_mean",
    )


@pytest.mark.parametrize("text", ["lasso, global_mean", '["lasso", "global_mean"]'])
def test_lists_are_the_same_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MLOPS_TRAINING__FAMILIES", text)
    assert load_settings().training.families == ("lasso", "global_mean")


def test_secrets_come_from_the_environment_and_are_not_disclosed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given secrets in the environment
    monkeypatch.setenv("MLOPS_NOTIFICATIONS__WEBHOOKS", "https://a/hush,https://b/hush")
    monkeypatch.setenv("MLOPS_NOTIFICATIONS__SMTP_URL", "smtp://me:hush@host")
    settings = load_settings()

    # then code reads them, and neither a dump nor an error shows them
    urls = [url.get_secret_value() for url in settings.notifications.webhooks]
    assert urls == ["https://a/hush", "https://b/hush"]
    assert "hush" not in settings.model_dump_json() + repr(settings)
    with pytest.raises(ConfigurationError, match="webhooks") as raised:
        load_settings({"notifications.webhooks": '["https://a/hush'})
    assert "hush" not in str(raised.value)


def test_a_mapping_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_VALIDATION__ACTIONS", "not json")
    with pytest.raises(ConfigurationError, match="validation"):
        load_settings()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"training.max_evals": "many"}, "training.max_evals"),
        ({"training.nothing": 1}, "training.nothing"),
        ({"nothing": 1}, "nothing"),
        ({"months": "2024-13"}, "source.months"),
        ({"source.kind": "ftp"}, "source.kind"),
        ({"gate.confidence": 2}, "gate.confidence"),
    ],
)
def test_errors_name_the_setting(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_settings(overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"source.months": "2024-1"},
            "source.months: '2024-1' is not a month or a range of months",
        ),
        (
            {"months": "2024-01,2024-1"},
            "source.months: '2024-1' is not a month or a range of months (got '2024-01,2024-1')",
        ),
        (
            {"months": "2024-02..2024-01"},
            "source.months: the range '2024-02..2024-01' runs backwards",
        ),
        (
            {"backtest.drift_from": "soon"},
            "backtest.drift_from: 'soon' is not a month or a range of months",
        ),
        (
            {"backtest.drift_from": "2024-01..2024-02"},
            "backtest.drift_from: one month is needed, written YYYY-MM (got '2024-01..2024-02')",
        ),
        (
            {"location": "['a"},
            'source.location: "[\'a" is not a JSON list: Expecting value: line 1 column 2 (char 1)',
        ),
    ],
)
def test_an_error_says_the_name_and_the_value_once(
    overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(overrides)

    assert raised.value.message == message


def test_blocks_ignore_names_that_mage_adds_but_not_misspelt_settings() -> None:
    # given what Mage passes to every block
    mage = {"execution_date": "2024-01-01", "env": "dev", "configuration": {}}

    # then it is ignored, while a dotted name must exist
    assert load_settings({**mage, "max_evals": 2}, strict=False).training.max_evals == 2
    with pytest.raises(ConfigurationError, match=r"training\.max_eval"):
        load_settings({"training.max_eval": 2}, strict=False)


def test_sections_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().source.kind = "tlc"  # type: ignore[misc]


@given(st.integers(min_value=0, max_value=10**6))
def test_text_and_number_mean_the_same(seed: int) -> None:
    assert load_settings({"seed": seed}) == load_settings({"seed": str(seed)})


@pytest.mark.parametrize(
    ("overrides", "local", "shown"),
    [
        ({}, "http://127.0.0.1:6789", "http://127.0.0.1:6789"),
        ({"server.host": "0.0.0.0"}, "http://127.0.0.1:6789", "http://127.0.0.1:6789"),
        ({"server.host": "10.0.0.5"}, "http://10.0.0.5:6789", "http://10.0.0.5:6789"),
        ({"server.public_url": "https://a/"}, "http://127.0.0.1:6789", "https://a"),
        (
            {"server.public_url": "https://a", "observability.public_url": "https://b/mage/"},
            "http://127.0.0.1:6789",
            "https://b/mage",
        ),
    ],
)
def test_links_lead_to_where_people_reach_the_pages(
    overrides: dict[str, Any], local: str, shown: str
) -> None:
    settings = load_settings(overrides)

    assert (settings.mage_url, settings.pages_url) == (local, shown)


def descriptions(schema: dict[str, Any], node: dict[str, Any], prefix: str) -> Iterator[Any]:
    """Yield the dotted name and the description of each leaf of the JSON schema."""
    for name, field in node["properties"].items():
        reference = field.get("$ref") or next((r["$ref"] for r in field.get("allOf", ())), "")
        if reference:
            section = schema["$defs"][reference.rpartition("/")[2]]
            yield from descriptions(schema, section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.get("description", "")


def test_each_setting_is_described_by_a_sentence_that_stands_alone() -> None:
    # given the JSON schema as the command line prints it
    schema = Settings.model_json_schema()

    # when each setting's description is read by itself
    found = dict(descriptions(schema, schema, ""))

    # then it is a sentence, and no two settings of a section share it
    assert set(found) == set(setting_names())
    for name, text in found.items():
        words = text.split()
        assert len(words) >= 4, f"{name}: {text!r} is too short"
        assert text[0].isupper(), f"{name}: {text!r}"
        assert text.endswith("."), f"{name}: {text!r}"
        assert text.isprintable() and "  " not in text, f"{name}: {text!r}"
        assert "likewise" not in text.lower(), f"{name}: {text!r} needs another sentence"
        assert words[-1].strip(".").lower() not in {"and", "or", "of"}, f"{name}: {text!r}"
        assert not text.startswith("…") and not text.endswith(("…", "….")), f"{name}: {text!r}"
    in_sections = {(name.rpartition(".")[0], text) for name, text in found.items()}
    assert len(in_sections) == len(found)


UNITS = {
    "days": "days",
    "hours": "hours",
    "minutes": "minute",
    "ms": "milliseconds",
    "seconds": "seconds",
    "bytes": "bytes",
    "mb": "megabytes",
    "miles": "miles",
    "mph": "miles per hour",
    "percent": "percentage",
}


def test_a_description_names_the_unit_of_the_value() -> None:
    schema = Settings.model_json_schema()

    for name, text in descriptions(schema, schema, ""):
        unit = UNITS.get(name.rpartition("_")[2])
        assert unit is None or unit in text.lower(), f"{name}: {text!r} does not say: {unit}"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MLOPS_TRAINING__MAX_EVAL", "MLOPS_TRAINING__MAX_EVALS?"),
        ("MLOPS_TRANING__MAX_EVALS", "MLOPS_TRAINING__MAX_EVALS?"),
        ("MLOPS_TRAINING_MAX_EVALS", "MLOPS_TRAINING__MAX_EVALS?"),
        ("MLOPS_MAX_EVALS", "MLOPS_TRAINING__MAX_EVALS?"),
        ("MLOPS_ENVIROMENT", "MLOPS_ENVIRONMENT?"),
        ("MLOPS_FOO__BAR", "mlops config show"),
    ],
)
def test_a_misspelled_variable_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "3")
    with pytest.raises(ConfigurationError, match=variable) as refused:
        load_settings()
    assert meant in refused.value.hint


def test_variables_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "MLOPS_OWNER_PASSWORD",
        "MLOPS_API_TOKEN_RETRAINING",
        "MLOPS_PREDICTIONS_PORT",
    ):
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("MLOPS_TRAINING__OVERRIDES__LASSO__ALPHA", "2")  # an entry of a mapping
    assert load_settings().training.overrides == {"lasso": {"alpha": "2"}}
