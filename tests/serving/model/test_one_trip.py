"""One trip's features are those of the arrays, to the bit, whatever the trip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, VENDOR
from mlops.serving.model.one_trip import TripEncoder
from mlops.settings import FeatureSettings

NAMES = [name for name in REQUEST_COLUMNS if name != VENDOR]
maybe_miles = st.one_of(
    st.none(),
    st.sampled_from([0.0, 0.05, 100.0, 100.00001, -1.0, 1e300, float("nan")]),
    st.floats(0, 120),
)
maybe_code = st.one_of(st.none(), st.integers(0, 9).map(float), st.floats(-1e6, 1e6))


@pytest.fixture(scope="module")
def encoder(sample_history: Callable[..., pd.DataFrame]) -> FeatureEncoder:
    trips = sample_history("2024-01")
    return FeatureEncoder(RouteStatistics.of(trips, datetime(2024, 2, 1), FeatureSettings()))


@given(
    pickup_at=st.datetimes(datetime(2009, 1, 1), datetime(2099, 12, 31)),
    pickup=st.integers(-1, 267),
    dropoff=st.integers(-1, 267),
    miles=maybe_miles,
    codes=st.tuples(maybe_code, maybe_code, maybe_code),
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_same_as_the_arrays(
    encoder: FeatureEncoder,
    pickup_at: datetime,
    pickup: int,
    dropoff: int,
    miles: float | None,
    codes: tuple[float | None, float | None, float | None],
) -> None:
    trip = (pickup_at, pickup, dropoff, miles, *codes)
    frame = pd.DataFrame([trip], columns=NAMES).astype({n: REQUEST_COLUMNS[n] for n in NAMES})

    found = TripEncoder(encoder).encode(*trip)

    np.testing.assert_array_equal(found.view(np.int32), encoder.encode(frame)[0].view(np.int32))
    arrays = {name: frame[name].to_numpy() for name in NAMES}
    np.testing.assert_array_equal(encoder.encode(arrays), encoder.encode(frame))


def test_miles_of_a_route_are_the_feature(encoder: FeatureEncoder) -> None:
    trips = TripEncoder(encoder)
    pairs = [(74, 75), (75, 74), (0, 265), (-5, 900)]

    found = [trips.route_miles(*pair) for pair in pairs]

    column = FEATURES.index("route_miles")
    at = datetime(2024, 2, 1)
    assert found == [float(trips.encode(at, *pair)[column]) for pair in pairs]
    assert trips.routes_miles(*np.array(pairs).T).tolist() == found
    assert min(found) > 0
