"""How large the demonstration is, and the settings under which its servers work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.city import LEARNED
from demo.servers import free_ports

EMAIL: Final = "owner@mlops.local"


@dataclass(frozen=True)
class DemoSize:
    """How much of everything.

    Attributes:
        rows: Trips per month. What errors are usual is learned from two days with 1,000 trips.
        window: Trips per window of monitoring.
        families: Of scikit-learn, and baselines.
        objectives: Of XGBoost.
        evals: Trials per search.
        canary_seconds: How long the new version takes part of the traffic.
        seed: Of the city.
    """

    rows: int = 20_000
    window: int = 5_000
    families: str = "global_mean,group_median,linear_regression"
    objectives: str = "squared_error,quantiles"
    evals: int = 2
    canary_seconds: float = 10
    seed: int = 7


SMALL: Final = DemoSize(
    families="global_mean,linear_regression",
    objectives="squared_error",
    evals=1,
    canary_seconds=3,
)


def settings_for(size: DemoSize, home: Path, alerts: str) -> Mapping[str, Any]:
    """Return the settings of the demonstration, by dotted names.

    Args:
        size: Of the demonstration.
        home: Its folder.
        alerts: Where alerts are posted.
    """
    mage, mlflow, observer, serving, metrics = free_ports(5)
    return {
        "source.kind": "path",
        "source.location": str(home / "source"),
        "source.months": ",".join(LEARNED),
        "windows.test_days": 7,
        "training.families": size.families,
        "training.objectives": size.objectives,
        "training.max_evals": size.evals,
        # A model of the last two months: the new world is half of what the next one learns from.
        "retraining.max_months": len(LEARNED),
        "monitoring.window_trips": size.window,
        "monitoring.min_window_trips": size.window,
        # A dozen windows are looked at here: quiet ones should be quiet.
        "monitoring.false_alarms": 0.005,
        "deployment.policy": "auto",
        "deployment.require_server": True,
        "deployment.canary_percent": 30,
        "deployment.canary_minutes": size.canary_seconds / 60,
        # Training on the same two cores, beside the server, makes latency jump.
        "deployment.latency_floor_ms": 100,
        "gate.max_latency_ms": 1_000,
        "prediction_log.flush_seconds": 0.2,
        "server.scheduler_interval_seconds": 1,
        "observability.refresh_seconds": 2,
        "server.mage_port": mage,
        "server.mlflow_port": mlflow,
        "server.owner_email": EMAIL,
        "observability.metrics_port": observer,
        "serving.port": serving,
        "serving.metrics_port": metrics,
        "notifications.webhooks": alerts,
    }
