"""A small watched world: synthetic months, a model that knows only routes, and its profile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops.data.months import month_bounds
from mlops.data.references import TrainingSetManifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.taxi.features.encoding import FeatureEncoder, routes_of
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    PICKUP_AT,
    PICKUP_ZONE,
    REQUEST_COLUMNS,
    TARGET,
)
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.registry.profiles import load_profile
from mlops.registry.receipts import collect_receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.serving.log.parquet import ParquetSink
from mlops.serving.log.rows import Answers, to_table
from mlops.settings import (
    FeatureSettings,
    MonitoringSettings,
    Settings,
    ValidationSettings,
    load_settings,
)
from mlops.steps.data_preparation import build, extract, publish, validate
from mlops.training.artifact import TabularModel

TESTED_FROM = datetime(2024, 1, 1)
SHORTEST, LONGEST = 1.0, 60.0
LEARNED_MONTHS = ("2023-12", "2024-01")
WATCHING = TripWatching(ValidationSettings())


@dataclass(frozen=True, eq=False)
class World:
    """What is needed to watch: routes, a profile, and good trips of a month to come."""

    routes: RouteStatistics
    profile: ReferenceProfile
    history: RowWindow
    live: pd.DataFrame
    settings: MonitoringSettings

    @property
    def encoder(self) -> FeatureEncoder:
        return FeatureEncoder(self.routes)

    def predict(self, trips: pd.DataFrame) -> pd.DataFrame:
        return route_model(self.routes, trips)

    def window(self, trips: pd.DataFrame, **more: Any) -> RowWindow:
        return RowWindow.of(trips, self.predict(trips), WATCHING, self.encoder, **more)

    def report(self, trips: pd.DataFrame, **more: Any) -> WindowReport:
        window = self.window(trips)
        return report_window(window, self.profile, self.settings, name="w", **more)


def route_model(routes: RouteStatistics, trips: pd.DataFrame) -> pd.DataFrame:
    """Predict from the route's pace: a model as good as it needs to be here."""
    known = routes.lookup(trips.assign(**{PICKUP_AT: trips[PICKUP_AT].fillna(TESTED_FROM)}))
    miles = trips[DISTANCE].where(trips[DISTANCE] > 0.05, known["route_miles"])
    minutes = np.clip(miles * known["route_pace"], SHORTEST, LONGEST)
    return pd.DataFrame(
        {
            "prediction_minutes": minutes,
            "lower_minutes": (0.7 * minutes).clip(lower=SHORTEST),
            "upper_minutes": (1.4 * minutes).clip(upper=LONGEST),
        },
        index=trips.index,
    ).astype("float64")


def world_of(past: pd.DataFrame, live: pd.DataFrame) -> World:
    """Profile the route model on a past whose last month tested it."""
    routes = RouteStatistics.of(past[past[TARGET].between(1, 60)], TESTED_FROM, FeatureSettings())
    settings = MonitoringSettings()
    history = RowWindow.of(past, route_model(routes, past), WATCHING, FeatureEncoder(routes))
    profile = build_profile(history, "7", TESTED_FROM, (SHORTEST, LONGEST), settings)
    return World(routes, profile, history, live, settings)


@pytest.fixture(scope="session")
def world(sample_history: Callable[..., pd.DataFrame]) -> World:
    """Return a world of synthetic trips."""
    past = sample_history("2023-12", "2024-01", rows=9_000)
    return world_of(past, sample_history("2024-02", rows=9_000))


@pytest.fixture(scope="session")
def real_world(real_data: Path) -> World:
    """Return a world of real trips, those that break rules included."""
    *past, live = (real_month(real_data, m) for m in ("2023-12", "2024-01", "2024-02"))
    return world_of(pd.concat(past, ignore_index=True), live)


def real_month(folder: Path, month: str, sub_folder: str = "green") -> pd.DataFrame:
    trips = read_trips(folder / sub_folder / f"green_tripdata_{month}.parquet", "green")
    trips[TARGET] = (trips[DROPOFF_AT] - trips[PICKUP_AT]) / pd.Timedelta(minutes=1)
    start, end = month_bounds(month)
    inside = trips[(trips[PICKUP_AT] >= start) & (trips[PICKUP_AT] < end)]
    return inside.sort_values(PICKUP_AT, kind="stable").reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Watched:
    """A registry whose champion, version 1, learned from two months of files and was tested on the
    last week of them; and a month that came later.
    """  # noqa: D205

    settings: Settings
    model: TabularModel
    folder: Path
    live: pd.DataFrame

    def home(self, folder: Path, *months: str, **overrides: Any) -> Settings:
        """Return a home of its own, whose source has the months learned from and those named.

        It knows of the registered models what the first home knows, and shares its MLflow.
        """
        source = folder / "source"
        source.mkdir(parents=True, exist_ok=True)
        for month in (*LEARNED_MONTHS, *months):
            name = f"green_tripdata_{month}.parquet"
            if not (source / name).exists():
                (source / name).symlink_to(self.folder / name)
        home = folder / "home"
        shutil.copytree(self.settings.registry, home / "registry", dirs_exist_ok=True)
        return load_settings(
            {
                "home": str(home),
                "tracking.uri": self.settings.tracking_uri,
                "tracking.artifacts": self.settings.artifact_root,
                "source.kind": "path",
                "source.location": str(source),
                "monitoring.window_trips": 1_000,
                "monitoring.min_window_trips": 500,
                "serving.metrics_url": "http://127.0.0.1:1",  # no server listens there
                **overrides,
            }
        )

    def log(
        self,
        settings: Settings,
        trips: pd.DataFrame,
        at: Any,
        *,
        version: int = 1,
        role: str = "champion",
        caller: str = "someone",
        worker: str = "0",
        minutes: Any = None,
    ) -> None:
        """Write answers into the prediction log as a server's worker does, one request per trip.

        ``at``: when each was answered, UTC.
        """
        trips = trips[list(REQUEST_COLUMNS)].astype(REQUEST_COLUMNS)
        answered = self.model.predict(trips).to_numpy()
        usual = routes_of(self.model.encoder).lookup(trips)["route_miles"]
        miles = trips[DISTANCE].where(trips[DISTANCE].between(0.0501, 100), usual).to_numpy()
        columns = {name: trips[name].to_numpy() for name in REQUEST_COLUMNS}
        instants = pd.DatetimeIndex(at).as_unit("ns").asi8.tolist()
        answers = [
            Answers(
                *(f"{worker}-{place}", instant, caller, "predict", version, role),
                {name: values[place : place + 1] for name, values in columns.items()},
                miles[place : place + 1],
                (answered if minutes is None else minutes)[place : place + 1],
            )
            for place, instant in enumerate(instants)
        ]
        part = f"part-{worker}-{instants[0]}-{version}-{role}-{caller}"
        ParquetSink(settings.prediction_log_folder).write(part, to_table(answers))


@pytest.fixture(scope="session")
def watched(
    tmp_path_factory: pytest.TempPathFactory, sample_history: Callable[..., pd.DataFrame]
) -> Watched:
    """Return a registry with a real small champion, its training set and its profile."""
    folder = tmp_path_factory.mktemp("watched")
    for month in (*LEARNED_MONTHS, "2024-02"):
        path = folder / f"green_tripdata_{month}.parquet"
        pq.write_table(generate_month(month, 6_000, 7), path)
    given = {
        "home": str(folder / "home"),
        "source.kind": "path",
        "source.location": str(folder),
        "source.months": ",".join(LEARNED_MONTHS),
        "windows.test_days": 7,
    }
    settings = load_settings(given)
    published = publish(build(validate(extract(given), given), given), given)
    manifest = TrainingSetManifest.model_validate(published)
    trips = read_window(manifest, "train", "validation")
    routes = RouteStatistics.of(trips, manifest.test.start, settings.features)
    model = TabularModel.fit(
        "squared_error", {"rounds": 20}, trips, FeatureEncoder(routes), TARGET, seed=1, threads=1
    )
    model = model.with_residual_interval(model, read_window(manifest, "validation"))
    metrics = regression_metrics([10, 20, 30], [11, 19, 33])
    receipt = collect_receipt(manifest, "squared_error", {"rounds": 20}, settings)
    run_id = log_candidate(
        settings, manifest=manifest, model=model, metrics=metrics, receipt=receipt, stage="refit"
    )
    rule = RuleResult(
        rule="told", value=0, sense="<=", limit=0, unit="", passed=True, why="as told"
    )
    registry = Registry(settings)
    version = registry.register(
        run_id,
        receipt,
        Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1),
        Verdict(passed=True, rules=(rule,), summary="as told"),
    )
    registry.promote(version, "the first", "test")
    load_profile(settings, version)  # builds it, and stores it with the version
    live = real_month(folder, "2024-02", sub_folder="")
    possible = live[PICKUP_ZONE].between(1, 265) & live[DROPOFF_ZONE].between(1, 265)
    possible &= live[DISTANCE].between(0, 100)
    return Watched(settings, model, folder, live[possible].reset_index(drop=True))
