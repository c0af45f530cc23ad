"""What is watched of a declared table: its columns, by codes and by what recurs every day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from mlops.datasets.answers import ANSWER, LOWER, PREDICTION, UPPER
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.watched.watching import TableWatching
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.errors import ConfigurationError, DataQualityError
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import ValidationSettings
from tests.datasets.declared.deliveries import ROWS, START, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DEFINITION = deliveries(histories="{}")
WATCHING = TableWatching.of(DEFINITION, ValidationSettings())
ENCODER = TableEncoder(DEFINITION, {"city": ("Rome", "Milan"), "courier": ("x",)}, ())


def answers_of(rows: pd.DataFrame) -> pd.DataFrame:
    answer = pd.DataFrame(30.0, index=rows.index, columns=list(ANSWER))
    return answer.assign(**{LOWER: 20.0, UPPER: 45.5})


@given(ROWS)
@settings(max_examples=25, deadline=None)
def test_every_feature_is_observed_of_any_rows(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows)

    window = RowWindow.of(frame, answers_of(frame), WATCHING, ENCODER)

    assert set(window.observed) == {feature.name for feature in WATCHING.features}
    assert (window.observed.dtypes == np.float64).all()
    assert ((window.stratum >= 0) & (window.stratum < WATCHING.strata)).all()
    assert (window.ended == frame["minutes"].notna()).all()
    # what is known only afterwards refuses nothing
    asked = frame[[*WATCHING.asked]]
    alone = RowWindow.of(asked, None, WATCHING, ENCODER)
    assert (alone.refused == window.refused).all() and not alone.ended.any()
    assert not (window.refused & window.learnable).any()


def test_categories_are_codes_and_times_are_what_recurs_every_day() -> None:
    at = START + timedelta(hours=9, minutes=30)
    rows = [
        {**ROW, "city": city, "courier": courier, "fragile": True, "weight": 2.5}
        | {"ordered_at": at, "ready_at": at + timedelta(hours=2), "promised_at": at}
        for city, courier in (("Milan", "x"), ("Turin", "y"), (None, None))
    ]
    frame = frame_of(rows)

    observed = WATCHING.observe(frame, answers_of(frame), ENCODER)

    # a city that is unknown has a code of its own, an unknown courier is declared to be missing
    assert observed["city"].tolist()[:2] == [1, 2] and np.isnan(observed["city"][2])
    assert observed["courier"].tolist()[0] == 0 and observed["courier"][1:].isna().all()
    assert set(observed["fragile"]) == {1} and set(observed["weight"]) == {2.5}
    assert set(observed["ordered_at minute_of_day"]) == {570}
    assert set(observed["ready_at hour"]) == {11} and set(observed["promised_at"]) == {0}
    assert set(observed[PREDICTION]) == {30} and set(observed["interval_width"]) == {25.5}
    # and what was never learned from is counted, but not what is missing
    rare = WATCHING.rare(frame, ENCODER)
    assert {name: mask.tolist() for name, mask in rare.items()} == {
        "unknown city": [False, True, False],
        "unknown courier": [False, True, False],
    }


def test_the_parts_of_working_days_and_of_weekends_are_strata() -> None:
    monday = [START + timedelta(hours=hour) for hour in range(24)]
    saturday = [at + timedelta(days=5) for at in monday]

    working, free = (WATCHING.stratum(pd.Series(days)) for days in (monday, saturday))

    assert set(working) == set(range(6)) and (free == working + 6).all()


def test_a_row_without_a_time_is_refused_and_the_others_are_placed() -> None:
    frame = frame_of([{**ROW}, {**ROW}])
    frame.loc[0, "ordered_at"] = pd.NaT

    window = RowWindow.of(frame, answers_of(frame), WATCHING, ENCODER)

    assert window.refused.tolist() == [True, False]


def test_columns_are_what_is_asked_and_what_is_known_afterwards() -> None:
    assert next(iter(WATCHING.asked)) == WATCHING.event == "ordered_at"
    assert "order" in WATCHING.asked  # the key: labels are joined by it
    assert [*WATCHING.labels] == ["minutes", "delivered_at", "depot"]
    assert WATCHING.label_delay == timedelta(hours=6)
    assert (WATCHING.unit, str(WATCHING.zone)) == ("minutes", "Europe/Rome")


def test_rules_are_those_in_force() -> None:
    limits = ValidationSettings(actions={"weight_wrong": "ignore", "city_unknown": "flag"})
    watching = TableWatching.of(DEFINITION, limits)
    frame = frame_of([{**ROW, "weight": -1.0, "city": "Turin"}])

    window = RowWindow.of(frame, answers_of(frame), watching, ENCODER)

    assert "weight_wrong" not in window.broken
    assert window.broken["city_unknown"].tolist() == [True] and not window.refused.any()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"time": "null", "key": "[order]", "split": "{by: random}"}, "have no time"),
        ({"split": "{by: random, validation: 0.2, test: 0.2}"}, "split by: random"),
        ({"split": "{by: group, group: [city], validation: 0.2, test: 0.2}"}, "split by: group"),
    ],
)
def test_rows_without_an_order_in_time_are_refused(changes: dict[str, str], why: str) -> None:
    unordered = DEFINITION.model_copy(update=_declared(changes))

    with pytest.raises(ConfigurationError, match=why) as refused:
        TableWatching.of(unordered, ValidationSettings())

    assert "train again" in refused.value.hint


def _declared(changes: dict[str, str]) -> dict[str, Any]:
    import yaml

    from mlops.datasets.definition import SplitDeclaration

    found = {name: yaml.safe_load(text) for name, text in changes.items()}
    return found | {"split": SplitDeclaration.model_validate(found["split"])}


def test_another_datasets_model_knows_no_categories() -> None:
    frame = frame_of([{**ROW}])
    trips: Any = FeatureEncoder(None)  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError, match="not trained on a declared dataset"):
        WATCHING.observe(frame, None, trips)
    with pytest.raises(DataQualityError, match="1 rows and 2 predictions"):
        WATCHING.observe(frame, answers_of(frame_of([{**ROW}, {**ROW}])), ENCODER)


def test_the_first_and_last_moment_of_the_calendar_are_possible() -> None:
    frame = frame_of([{**ROW, "ordered_at": datetime(1, 1, 1)}, {**ROW}])

    window = RowWindow.of(frame, answers_of(frame), WATCHING, ENCODER)

    assert not window.refused[1] and len(window.slices) == 2
