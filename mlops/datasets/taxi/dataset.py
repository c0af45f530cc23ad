"""The worked case as a dataset: how long a taxi trip takes, asked at pickup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.datasets.taxi.trips import PICKUP_AT, TARGET

if TYPE_CHECKING:
    import pandas as pd

    from mlops.data.references import TrainingSetManifest
    from mlops.datasets.taxi.features.encoding import FeatureEncoder
    from mlops.datasets.taxi.features.routes import RouteStatistics
    from mlops.settings import Settings


class TaxiTrips:
    """Taxi trips in New York; see `mlops.datasets.dataset.Dataset`."""

    name = "taxi"
    target = TARGET
    event = PICKUP_AT

    def history(self, file: Path) -> RouteStatistics:
        """Read what is known of routes."""
        from mlops.datasets.taxi.features.routes import RouteStatistics

        return RouteStatistics.load(file)

    def histories(
        self, manifest: TrainingSetManifest, days: Mapping[str, datetime], settings: Settings
    ) -> Mapping[str, RouteStatistics]:
        """Compute what is known of routes on the mornings of named days."""
        from mlops.datasets.taxi.features.products import freeze_routes

        return freeze_routes(manifest, days, settings.features)

    def encoder(self, rows: pd.DataFrame, history: RouteStatistics) -> FeatureEncoder:
        """Return an encoder with what is known of routes; it learns nothing from rows."""
        from mlops.datasets.taxi.features.encoding import FeatureEncoder

        return FeatureEncoder(history)

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each trip along each dimension."""
        from mlops.datasets.taxi.slices import slice_labels

        return slice_labels(rows)
