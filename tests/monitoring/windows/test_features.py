"""A window is a slice: computing first and cutting after gives what cutting first would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.contract.rules import FIRST_PICKUP, LAST_PICKUP
from mlops.datasets.taxi.features.calendar import moments
from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.datasets.taxi.watched.watching import FEATURES, TripWatching
from mlops.errors import DataQualityError
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import ValidationSettings

WATCHING = TripWatching(ValidationSettings())


def test_a_slice_of_a_window_is_the_window_of_a_slice(world: Any) -> None:
    trips = world.live.iloc[:400]

    cut = world.window(trips).rows(slice(100, 200))
    alone = world.window(trips.iloc[100:200])

    assert len(cut) == len(alone) == 100
    for name in ("observed", "broken", "predictions"):
        pd.testing.assert_frame_equal(getattr(cut, name), getattr(alone, name))
    for name in ("stratum", "ended", "refused", "learnable"):
        assert (getattr(cut, name) == getattr(alone, name)).all()


def test_bins_looked_up_before_are_those_looked_up_after(world: Any) -> None:
    # given the bins of a profile, looked up once for a whole history
    tables = world.profile.features
    binned = world.history.binned(tables)

    # when a part of it is asked for its bins
    for chosen in (slice(100, 3_000), world.history.stratum == 2):
        for table in tables:
            codes, stratum = binned.rows(chosen).codes(table)
            alone, stratum_alone = world.history.rows(chosen).codes(table)

            # then they are those of that part alone
            assert (codes == alone).all() and (stratum == stratum_alone).all()
            assert len(codes) == len(
                world.history.rows(chosen).values(table.name, label=table.label)[0]
            )


def test_every_feature_is_observed_of_labelled_and_predicted_trips(world: Any) -> None:
    observed = world.window(world.live.iloc[:50]).observed

    assert set(observed) == {feature.name for feature in FEATURES}
    assert np.isfinite(observed["prediction_over_route"]).all()


def test_trips_without_predictions_can_be_watched_too(world: Any) -> None:
    window = RowWindow.of(world.live.iloc[:50], None, WATCHING, world.encoder)

    assert "prediction_minutes" not in window.observed
    assert window.predictions is None


def test_as_many_predictions_as_trips_are_needed(world: Any) -> None:
    trips = world.live.iloc[:10]

    with pytest.raises(DataQualityError, match="10 trips and 9 predictions"):
        WATCHING.observe(trips, world.predict(trips.iloc[:9]), world.encoder)


def test_a_rule_about_a_label_refuses_no_request_and_spoils_only_learning(world: Any) -> None:
    # Given a trip without end, one of two days, one with an impossible distance, one without a time
    trips = world.live.iloc[:6].reset_index(drop=True)
    trips.loc[1, TARGET] = np.nan
    trips.loc[2, TARGET] = 2_880.0
    trips.loc[3, DISTANCE] = -1.0
    trips.loc[4, PICKUP_AT] = pd.NaT

    window = world.window(trips)

    assert window.ended.tolist() == [True, False, True, True, True, True]
    assert window.refused.tolist() == [False, False, False, True, True, False]
    assert window.learnable.tolist() == [True, False, False, False, False, True]
    assert window.broken["duration_out_of_range"].tolist() == [i == 2 for i in range(6)]
    # and what is watched are requests, or what can be learned from
    name = FEATURES[0].name
    assert len(window.values(name)[0]) == len(window.values(name)[1]) == 4
    assert len(window.values(name, label=True)[0]) == 2


def test_a_rule_that_only_flags_refuses_nothing(world: Any) -> None:
    trips = world.live.iloc[:3].reset_index(drop=True)
    trips.loc[0, DISTANCE] = 0.0  # flagged: the route's own distance stands for it

    window = world.window(trips)

    assert window.broken["distance_zero"].tolist() == [True, False, False]
    assert not window.refused.any() and window.learnable.all()


def test_requests_alone_are_held_to_the_rules_on_requests_and_have_not_ended(world: Any) -> None:
    requests = world.live[list(REQUEST_COLUMNS)].iloc[:4].reset_index(drop=True)
    requests.loc[0, DISTANCE] = -1.0

    window = world.window(requests)

    assert not window.ended.any() and not window.learnable.any()
    assert window.refused.tolist() == [True, False, False, False]
    assert "duration_out_of_range" not in window.broken


def test_a_slice_takes_its_arrivals_along(world: Any) -> None:
    trips = world.live.iloc[:4].reset_index(drop=True)
    arrived = pd.Series(pd.date_range("2024-03-01", periods=4, tz="UTC"))
    window = RowWindow.of(trips, None, WATCHING, world.encoder, arrived)

    assert window.rows(slice(1, 3)).arrived_at.tolist() == arrived[1:3].tolist()
    assert window.rows(np.array([True, False, False, True])).predictions is None


def test_the_first_and_the_last_moment_of_a_taxi_are_possible(world: Any) -> None:
    trips = world.live.iloc[:4].reset_index(drop=True)
    instant = pd.Timedelta(microseconds=1)
    first, last = pd.Timestamp(FIRST_PICKUP), pd.Timestamp(LAST_PICKUP)
    trips[PICKUP_AT] = [first - instant, first, last - instant, last]

    window = RowWindow.of(
        trips[list(REQUEST_COLUMNS)],
        None,
        WATCHING,
        world.encoder,
    )

    assert window.broken["pickup_time_invalid"].tolist() == [True, False, False, True]
    # where it cannot be, it is placed at the first moment, so that the others can be placed
    bands = moments(pd.Series([first, first, last - instant, first])).band
    assert window.stratum.tolist() == bands.tolist()
