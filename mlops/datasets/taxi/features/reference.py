"""The encoding of the reference project, kept as an anchor that results are compared with.

One indicator per route and the raw distance, as in mage-ai/mlops: a sparse matrix with as many
columns as the window has routes, plus one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops.datasets.taxi.features.calendar import Ints
from mlops.datasets.taxi.features.sums import route_code, zone_codes
from mlops.datasets.taxi.trips import DISTANCE, DROPOFF_ZONE, PICKUP_ZONE


@dataclass(frozen=True, eq=False)
class ReferenceEncoder:
    """One-hot routes and the distance.

    Attributes:
        routes: Codes of the routes that have a column, ascending.
    """

    routes: Ints

    @classmethod
    def fit(cls, trips: pd.DataFrame) -> ReferenceEncoder:
        """Give a column to every route among the trips."""
        return cls(np.unique(_routes(trips)))

    def encode(self, trips: pd.DataFrame) -> Any:
        """Return a CSR matrix, shape ``(n, routes + 1)``; routes without a column are all zero."""
        from scipy.sparse import csr_matrix

        routes = _routes(trips)
        column = np.minimum(np.searchsorted(self.routes, routes), len(self.routes) - 1)
        known = self.routes[column] == routes
        rows = len(trips)
        values = np.empty((rows, 2))
        values[:, 0] = known
        values[:, 1] = trips[DISTANCE].to_numpy()
        columns = np.stack([column, np.full(rows, len(self.routes))], axis=1)
        starts = np.arange(rows + 1) * 2
        shape = (rows, len(self.routes) + 1)
        return csr_matrix((values.ravel(), columns.ravel(), starts), shape=shape)


def _routes(trips: pd.DataFrame) -> Ints:
    return route_code(zone_codes(trips[PICKUP_ZONE]), zone_codes(trips[DROPOFF_ZONE]))
