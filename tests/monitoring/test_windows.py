"""A window is a slice: computing first and cutting after gives what cutting first would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.errors import DataQualityError
from mlops.monitoring.observations import FEATURES, observe
from mlops.monitoring.windows import TripWindow
from mlops.settings import ValidationSettings


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
    window = TripWindow.of(world.live.iloc[:50], None, world.routes, ValidationSettings())

    assert "prediction_minutes" not in window.observed
    assert window.predictions is None


def test_as_many_predictions_as_trips_are_needed(world: Any) -> None:
    trips = world.live.iloc[:10]

    with pytest.raises(DataQualityError, match="10 trips and 9 predictions"):
        observe(trips, world.predict(trips.iloc[:9]), world.routes)
