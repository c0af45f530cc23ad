"""The feature table: clean trips, and what history knew, month after month."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlops.data.references import QualityReport, TripPart, ValidatedTrips
from mlops.datasets.taxi.features.build import build_features, feature_version
from mlops.datasets.taxi.features.routes import AS_OF_COLUMNS, RouteHistory
from mlops.settings import FeatureSettings, Settings

MONTHS = ("2023-12", "2024-01")


@pytest.fixture
def validated(
    tmp_path: Path,
    sample_history: Callable[..., pd.DataFrame],
    extraction_of: Callable[..., object],
) -> ValidatedTrips:
    parts = []
    for month in MONTHS:
        trips = sample_history(month, rows=500)
        path = tmp_path / f"{month}.parquet"
        trips.to_parquet(path)
        parts.append(TripPart(month=month, uri=str(path), rows=len(trips)))
    quality = QualityReport(
        rows_read=1, rows_kept=1, rows_quarantined=0, bad_share=0, rules=(), quarantine_uri=None
    )
    # in any order: history must run through them in order of time
    return ValidatedTrips(extraction=extraction_of(), quality=quality, parts=tuple(parts[::-1]))


def test_history_runs_on_from_month_to_month(
    validated: ValidatedTrips, sample_history: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")

    table = build_features(validated, settings)

    trips = sample_history(*MONTHS, rows=500)
    expected = RouteHistory(settings.features).annotate(trips)
    staged = pd.concat([pd.read_parquet(part.uri) for part in table.parts], ignore_index=True)
    assert [part.month for part in table.parts] == list(MONTHS)
    assert [part.rows for part in table.parts] == [
        (trips.pickup_at.dt.strftime("%Y-%m") == m).sum() for m in MONTHS
    ]
    pd.testing.assert_frame_equal(staged[list(AS_OF_COLUMNS)], expected, check_exact=True)
    pd.testing.assert_frame_equal(staged[list(trips)], trips)
    assert table.feature_version == feature_version()


def test_other_settings_are_staged_elsewhere(validated: ValidatedTrips, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    other = settings.model_copy(update={"features": FeatureSettings(route_smoothing=3)})

    first, again, changed = (build_features(validated, s) for s in (settings, settings, other))

    assert first == again
    assert {p.uri for p in first.parts}.isdisjoint(p.uri for p in changed.parts)
    assert all(Path(p.uri).is_relative_to(settings.staging) for p in first.parts)
