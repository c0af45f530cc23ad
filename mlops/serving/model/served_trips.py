"""The encoder of taxi trips as the server holds it; see `mlops.serving.model.encoders`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import Columns, FeatureLayout, Matrix
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS
from mlops.serving.model.one_trip import TripEncoder

if TYPE_CHECKING:
    import pandas as pd

_ROUTES_FILE: Final = "routes.npz"


@dataclass(frozen=True, eq=False)
class ServedTrips:
    """Encodes many trips, or one at a time.

    Attributes:
        encoder: That a model was trained with.
    """

    encoder: FeatureEncoder

    columns = REQUEST_COLUMNS

    @property
    def layout(self) -> FeatureLayout:
        """What the features are."""
        return self.encoder.layout

    @property
    def as_of(self) -> datetime:
        """The day on whose morning its knowledge of routes ends."""
        return self.encoder.statistics.as_of

    @cached_property
    def encode_one(self) -> Callable[..., Matrix]:
        """Encodes one trip; see `TripEncoder.encode`."""
        return self._one_trip.encode

    def encode(self, frame: Columns) -> Matrix:
        """Encode trips."""
        return self.encoder.encode(frame)

    def one_by_one(self, columns: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the arguments of `encode_one` for each trip."""
        names = [name for name in columns if name != PICKUP_AT]
        for row, at in enumerate(columns[PICKUP_AT]):
            yield at.item(), *(_known(columns[name][row]) for name in names)

    def golden_requests(self) -> pd.DataFrame:
        """Make the trips that prove a bundle."""
        from mlops.datasets.taxi.golden import odd_requests

        return odd_requests(self.as_of)

    def route_miles(self, pickup_zone: int, dropoff_zone: int) -> float:
        """Return the miles that trips of a route usually drive: for requests without a distance."""
        return self._one_trip.route_miles(pickup_zone, dropoff_zone)

    def routes_miles(self, pickup_zones: npt.ArrayLike, dropoff_zones: npt.ArrayLike) -> Matrix:
        """Return `route_miles` of many routes, ``(n,)``."""
        return self._one_trip.routes_miles(pickup_zones, dropoff_zones)

    def save(self, folder: Path) -> None:
        """Write what is known of routes into a folder."""
        self.encoder.statistics.save(folder / _ROUTES_FILE)

    @classmethod
    def load(cls, folder: Path) -> ServedTrips:
        """Read what `save` has written.

        Raises:
            MlopsError: If the file is damaged.
        """
        return cls(FeatureEncoder(RouteStatistics.load(folder / _ROUTES_FILE)))

    @cached_property
    def _one_trip(self) -> TripEncoder:
        return TripEncoder(self.encoder)


def _known(value: Any) -> Any:
    return None if np.isnan(value) else value.item()
