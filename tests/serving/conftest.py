"""Small real models, compiled, and the application around them without a process or a port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.trips import TARGET
from mlops.registry.rollout import Rollout
from mlops.serving.answers.metrics import ServingMetrics
from mlops.serving.answers.routing import Lineup, Version
from mlops.serving.http.access import Door, RateLimiter
from mlops.serving.http.app import Application
from mlops.serving.http.keys import add_key
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import FeatureSettings, Settings, load_settings
from mlops.training.artifact import TabularModel

AS_OF = datetime(2024, 3, 1)


@pytest.fixture(scope="session")
def small_models(sample_history: Callable[..., pd.DataFrame]) -> tuple[TabularModel, ...]:
    """Return three models that answer differently."""
    trips = sample_history("2024-01", rows=1_500)
    trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
    statistics = RouteStatistics.of(trips, AS_OF, FeatureSettings())
    return tuple(
        TabularModel.fit(
            "squared_error",
            {"rounds": rounds},
            trips,
            FeatureEncoder(statistics),
            TARGET,
            seed=1,
            threads=1,
        ).with_residual_interval(
            TabularModel.fit(
                "global_mean", {}, trips, FeatureEncoder(statistics), TARGET, seed=1, threads=1
            ),
            trips,
        )
        for rounds in (4, 8, 12)
    )


@pytest.fixture(scope="session")
def small_compiled(small_models: tuple[TabularModel, ...]) -> tuple[CompiledModel, ...]:
    """Return the same, compiled as versions 1, 2 and 3."""
    return tuple(
        compile_model(model, version, {"run_id": f"run-{version}"})
        for version, model in enumerate(small_models, start=1)
    )


@dataclass
class FakeLog:
    """Remembers what it is given."""

    answers: list[dict[str, Any]] = field(default_factory=list)

    def append(self, **answer: Any) -> None:
        self.answers.append(answer)


@dataclass
class Service:
    """The application in this process, and what surrounds it."""

    application: Application
    metrics: ServingMetrics
    log: FakeLog
    token: str
    settings: Settings

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; with the key unless headers are given."""
        options.setdefault("headers", {"X-API-Key": self.token})
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    def swap(self, champion: Any, rollout: Rollout | None = None, beside: Any = None) -> None:
        """Serve models, numbered by themselves."""
        self.application.swap(
            Lineup(version_of(champion), rollout, version_of(beside) if beside else None)
        )


def version_of(model: Any) -> Version:
    return Version(model.version, f"v{model.version}", model, datetime.now(timezone.utc))


@pytest.fixture
def make_service(
    tmp_path: Path, small_compiled: tuple[CompiledModel, ...]
) -> Callable[..., Service]:
    """Return a maker of services that serve version 1."""

    def make(**overrides: Any) -> Service:
        settings = load_settings({"home": str(tmp_path), **overrides})
        _, token = add_key(settings.served, "tester")
        limiter = RateLimiter(settings.serving.requests_per_second, settings.serving.burst)
        door = Door(settings, limiter)
        door.reload()
        metrics, log = ServingMetrics(TaxiTrips.answer_bounds), FakeLog()
        application = Application(settings, door, metrics, log)  # type: ignore[arg-type]
        service = Service(application, metrics, log, token, settings)
        service.swap(small_compiled[0])
        return service

    return make


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


@dataclass(frozen=True)
class BrokenModel:
    """Fails at every prediction, or answers what is no number."""

    version: int
    as_of: datetime = AS_OF
    answers: float | None = None

    def predict_one(self, *trip: Any) -> tuple[float, float, float]:
        if self.answers is None:
            raise RuntimeError("broken")
        return self.answers, self.answers, self.answers

    def predict(self, columns: Any) -> Any:
        return np.array([self.predict_one()] * len(columns["pickup_at"]))

    @property
    def encoder(self) -> BrokenModel:
        return self

    def route_miles(self, pickup: int, dropoff: int) -> float:
        return 1.0

    def routes_miles(self, pickups: Any, dropoffs: Any) -> Any:
        return np.ones(len(pickups))


@pytest.fixture(scope="session")
def broken_model() -> type[BrokenModel]:
    return BrokenModel


@pytest.fixture(scope="session")
def make_rollout() -> Callable[..., Rollout]:
    """Return a maker of rollouts in force."""

    def make(
        version: int = 2, mode: str = "canary", percent: float = 50, minutes: float = 10
    ) -> Any:
        now = datetime.now(timezone.utc)
        return Rollout(
            deployment="d-1",
            version=version,
            mode=mode,  # type: ignore[arg-type]
            percent=percent,
            started_at=now,
            expires_at=now + timedelta(minutes=minutes),
            by="tester",
            reason="a test",
        )

    return make


@pytest.fixture(scope="session")
def trip() -> dict[str, Any]:
    """Return a complete request."""
    return {
        "pickup_at": "2024-03-01T17:45:00",
        "pickup_zone": 74,
        "dropoff_zone": 161,
        "trip_distance": 3.2,
        "passenger_count": 1,
        "rate_code": 1,
        "trip_type": 1,
        "vendor_id": 2,
    }
