"""The anchor: our counts and the reference's model on its own encoding are the reference's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.features.reference import ReferenceEncoder
from mlops.datasets.taxi.files.reading import read_trips


def test_a_route_has_a_column_and_the_distance_the_last(
    make_trips: Callable[..., pd.DataFrame],
) -> None:
    trips = make_trips(3).assign(
        pickup_zone=[1, 1, 2], dropoff_zone=[2, 2, 1], trip_distance=[1.5, 2.5, 3.5]
    )

    encoded = ReferenceEncoder.fit(trips).encode(trips).toarray()

    assert encoded.tolist() == [[1, 0, 1.5], [1, 0, 2.5], [0, 1, 3.5]]


def test_a_route_never_seen_has_only_its_distance(make_trips: Callable[..., pd.DataFrame]) -> None:
    trips = make_trips(2).assign(pickup_zone=[1, 1], dropoff_zone=[2, 3], trip_distance=[1.0, 2.0])
    encoder = ReferenceEncoder.fit(trips)

    encoded = encoder.encode(trips.assign(dropoff_zone=[250, 1])).toarray()

    assert encoded.tolist() == [[0, 0, 1.0], [0, 0, 2.0]]


@pytest.mark.real_data
def test_counts_and_rmse_of_the_reference(real_data: Path) -> None:
    # given its settings: green, January and February 2024, trips of 1 to 60 minutes
    trips = pd.concat(
        [
            read_trips(real_data / "green" / f"green_tripdata_{month}.parquet", "green")
            for month in ("2024-01", "2024-02")
        ]
    )
    minutes = (trips["dropoff_at"] - trips["pickup_at"]) / pd.Timedelta(minutes=1)
    kept = minutes.between(1, 60)
    train = kept & (trips["pickup_at"] < "2024-02-01")
    test = kept & (trips["pickup_at"] >= "2024-02-01")

    both, january = ReferenceEncoder.fit(trips[kept]), ReferenceEncoder.fit(trips[train])

    assert (kept.sum(), train.sum(), test.sum()) == (105_870, 54_378, 51_492)
    assert both.encode(trips[train]).shape[1] == 7_027
    assert january.encode(trips[train]).shape[1] == 5_094

    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(january.encode(trips[train]), minutes[train])
    predicted = model.predict(january.encode(trips[test]))
    assert np.sqrt(np.mean((predicted - minutes[test]) ** 2)) == pytest.approx(5.99, abs=0.1)
