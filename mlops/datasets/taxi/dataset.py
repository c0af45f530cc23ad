"""The worked case as a dataset: how long a taxi trip takes, asked at pickup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlops.datasets.taxi.trips import NEW_YORK, OPTIONAL, PICKUP_AT, TARGET

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlops.data.references import (
        Extraction,
        FeatureTable,
        RouteStatisticsManifest,
        TrainingSetManifest,
        ValidatedTrips,
    )
    from mlops.datasets.dataset import Division, Encoder, GoldenRequests
    from mlops.datasets.taxi.features.encoding import FeatureEncoder
    from mlops.datasets.taxi.features.routes import RouteStatistics
    from mlops.datasets.taxi.scoring import TripRequestFiles
    from mlops.datasets.taxi.watched.arriving import TripsArriving
    from mlops.datasets.taxi.watched.watching import TripWatching
    from mlops.datasets.wording import DatasetWords
    from mlops.settings import Settings


class TaxiTrips:
    """Taxi trips in New York; see `mlops.datasets.dataset.Dataset`."""

    name = "taxi"
    target = TARGET
    event = PICKUP_AT
    zone = NEW_YORK
    unit = "min"
    answer = "prediction_minutes"
    answer_bounds = (
        *(1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 12.5, 15.0),
        *(20.0, 25.0, 30.0, 40.0, 50.0, 60.0),
    )
    optional = OPTIONAL
    floors: Mapping[str, float] = MappingProxyType({"rmse": 8.0})

    def definition_files(self, settings: Settings) -> tuple[Path, ...]:
        """Return no files: what trips are is code, and the settings."""
        return ()

    def extract(self, settings: Settings) -> Extraction:
        """Fetch or generate the months asked for."""
        from mlops.datasets.taxi.sources import extract

        return extract(settings)

    def as_extracted(self, extraction: Extraction, settings: Settings) -> Settings:
        """Return the configuration, which names the months."""
        return settings

    def validate(self, extraction: Extraction, settings: Settings) -> ValidatedTrips:
        """Hold every trip to the data contract."""
        from mlops.datasets.taxi.contract.validation import validate

        return validate(extraction, settings)

    def build(self, validated: ValidatedTrips, settings: Settings) -> FeatureTable:
        """Add the route history known before each trip."""
        from mlops.datasets.taxi.features.build import build_features

        return build_features(validated, settings)

    def freeze(
        self, training_set: TrainingSetManifest, settings: Settings
    ) -> RouteStatisticsManifest:
        """Publish route history at the boundaries of the windows."""
        from mlops.datasets.taxi.features.products import publish_route_statistics

        return publish_route_statistics(training_set, settings)

    def history(self, file: Path) -> RouteStatistics:
        """Read what is known of routes."""
        from mlops.datasets.taxi.features.routes import RouteStatistics

        return RouteStatistics.load(file)

    def divide(self, rows: pd.DataFrame, months: Sequence[str], settings: Settings) -> Division:
        """Divide trips by their pickup, as `plan_windows` says."""
        from mlops.data.windows import plan_windows
        from mlops.datasets.dataset import Division

        windows = plan_windows(months, settings.windows)
        at = rows[PICKUP_AT]
        train, validation, test = (
            ((at >= window.start) & (at < window.end)).to_numpy() for window in windows
        )
        return Division(train, validation, test, windows[1].start, windows[2].start)

    def annotate(self, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
        """Compute the route history of each trip."""
        from mlops.datasets.taxi.features.routes import RouteHistory

        return RouteHistory(settings.features).annotate(rows)

    def past(self, rows: pd.DataFrame, as_of: datetime, settings: Settings) -> RouteStatistics:
        """Compute what trips tell of routes."""
        from mlops.datasets.taxi.features.routes import RouteStatistics

        return RouteStatistics.of(rows, as_of, settings.features)

    def past_at_test(self, manifest: TrainingSetManifest, settings: Settings) -> RouteStatistics:
        """Compute what is known of routes when the test window begins."""
        from mlops.datasets.taxi.features.products import freeze_routes

        days = {"test": manifest.test.begins}
        return freeze_routes(manifest, days, settings.features)["test"]

    def encoder(self, rows: pd.DataFrame, history: RouteStatistics) -> FeatureEncoder:
        """Return an encoder with what is known of routes; it learns nothing from rows."""
        from mlops.datasets.taxi.features.encoding import FeatureEncoder

        return FeatureEncoder(history)

    def golden_requests(self, encoder: FeatureEncoder) -> GoldenRequests:
        """Make ordinary trips of the days after the model's route history."""
        from mlops.datasets.taxi.features.encoding import routes_of
        from mlops.datasets.taxi.golden import ordinary_requests

        return ordinary_requests(routes_of(encoder).as_of)

    def require(self, encoder: Encoder, version: int) -> None:
        """Make sure that a model predicts trips."""
        from mlops.datasets.taxi.features.encoding import routes_of

        routes_of(encoder)

    def request_files(self, settings: Settings) -> TripRequestFiles:
        """Return how files of trips to predict are read."""
        from mlops.datasets.taxi.scoring import TripRequestFiles

        return TripRequestFiles(settings)

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each trip along each dimension."""
        from mlops.datasets.taxi.slices import slice_labels

        return slice_labels(rows)

    def as_learned(self, encoder: Encoder) -> TaxiTrips:
        """Return it: what trips are never changes."""
        return self

    @property
    def words(self) -> DatasetWords:
        """How people speak of trips."""
        from mlops.datasets.taxi.words import WORDS

        return WORDS

    def source_in_words(self, settings: Settings) -> str:
        """Say which trips are used, and whether they are synthetic."""
        source = settings.source
        months = f"{source.taxi} taxi, {source.months}"
        if source.kind == "sample":
            return (
                "the bundled sample (synthetic trips modelled on the real ones;"
                f" {months}, {source.sample_rows:,} trips a month)"
            )
        where = source.base_url if source.kind == "tlc" else source.location
        return f"{source.kind} {where} ({months})"

    def groups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the groups of each trip: its slices, and the borough where it ends."""
        from mlops.datasets.taxi.slices import group_labels

        return group_labels(rows)

    def clusters(self, rows: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Number the clock hours of pickups: trips of the same hour share traffic and weather."""
        import numpy as np
        import pandas as pd

        return np.asarray(pd.factorize(rows[PICKUP_AT].dt.floor("h"), sort=True)[0])

    def exemplary(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Tell which trips have a distance that a meter measures."""
        from mlops.datasets.taxi.examples import is_measured

        return is_measured(rows)

    def described(self, row: pd.Series[Any]) -> str:
        """Return the time, the zones and the distance of a trip."""
        from mlops.datasets.taxi.examples import described

        return described(row)

    def watching(self, settings: Settings) -> TripWatching:
        """Return what is watched of trips."""
        from mlops.datasets.taxi.watched.watching import TripWatching

        return TripWatching(settings.validation)

    def arriving(self, settings: Settings) -> TripsArriving:
        """Return the configured source."""
        from mlops.datasets.taxi.watched.arriving import TripsArriving

        return TripsArriving(settings)
