"""The dashboards Training and Serving in a real browser: before there is data, and with it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.observability import serving_tables
from mlops.observability.serving_samples import LABELS, SAMPLES, TABLE
from mlops.observability.tables import refresh
from mlops.observability.world import frame_of
from mlops.serving.answers.metrics import SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.mage]

Open = Callable[..., Mapping[str, Any]]
SKLEARN = {
    "Candidates of the last run": ("Candidates of run 4", "random_forest", "baseline", "minutes"),
    "Trials": ("the best so far", "trial of the search", "RMSE, minutes", "lasso"),
    "Error by search time": ("search time, seconds", "best RMSE so far, minutes"),
    "Feature contributions": (
        "contribution of each feature, minutes (exact)",
        "minutes at route pace",
        "trips",
    ),
    "Learning curves": ("random_forest", "trees", "best on validation"),
    "Errors by slice": ("on the validation window", "evening rush", "predicted - actual, minutes"),
    "Influential parameters": ("alpha", "95 % of correlations", "5 trials"),
}
XGBOOST = {
    "Candidates of the last run": ("Candidates of run 5", "squared_error"),
    "Learning curves": ("squared_error", "rounds", "train"),
    "Feature contributions": ("predictions of squared_error", "mean |contribution|, minutes"),
    "Influential parameters": ("learning_rate",),
}
SELECTION = {
    "Candidates of the last selection": ("winner", "4.641"),
    "Feature contributions of the newest version": ("version 1 (squared_error)", "likely miles"),
    "Errors of the newest version by slice": ("on the test window", "Manhattan"),
}
SERVING = {
    "Current state": ("not reached", "version 1", "version 2", "canary", "10.1 / s", "ms"),
    "Champion and canary": ("champion", "canary", "squared_error", "mean prediction, min", "20.2"),
    "Requests": ("requests per second", "200 /predict"),
    "Latency": ("champion v1 p50", "canary v2 p99", "milliseconds"),
    "Predictions": ("champion v1, ", "canary v2, ", "% of trips per min"),
    "Errors": ("422 /predict: 20", "exception in version 2, canary: 4"),
    "Last deployments": ("refused", "ana"),
}


@pytest.fixture
def served(server: Any) -> Iterator[None]:
    """Let the observer have seen a server with a canary, some minutes ago."""
    observed = server.settings.observed
    before = {path: path.read_bytes() for path in observed.glob("serving_*.parquet")}
    end = datetime.now(timezone.utc) - timedelta(minutes=1)
    times = [end - timedelta(minutes=minutes) for minutes in (3, 2, 1, 0)]
    rows = [row for number, at in enumerate(times) for row in counted(number, at)]
    samples = frame_of(rows, SAMPLES).fillna(dict.fromkeys(LABELS, ""))
    samples.to_parquet(observed / f"{TABLE}.parquet")
    refresh(server.settings, tables=serving_tables.TABLES)
    yield
    for path, content in before.items():
        path.write_bytes(content)


def counted(times: int, at: datetime) -> Iterator[dict[str, Any]]:
    """Yield what the server has counted after so many minutes."""

    def count(metric: str, value: float, **labels: str) -> dict[str, Any]:
        return {"at": at, "metric": metric, "value": value, **labels}

    yield count("requests_total", 600 * (times + 1), endpoint="/predict", status="200")
    yield count("requests_total", 10 * max(times - 1, 0), endpoint="/predict", status="422")
    for (version, role), part in {("1", "champion"): 0.8, ("2", "canary"): 0.2}.items():
        who = {"version": version, "role": role}
        answers = 600 * part * (times + 1)
        yield count("model_info", 1, **who)
        yield count("prediction_sum", 14 * answers, **who)
        for metric, bounds, middle in (
            ("seconds_bucket", SECONDS, 0.0012),
            ("prediction_bucket", TaxiTrips.answer_bounds, 11 + 2 * part),
        ):
            for bound in (*bounds, math.inf):
                below = 1 / (1 + (middle / bound) ** 2.5)  # a log-logistic distribution
                le = "+Inf" if math.isinf(bound) else str(bound)
                yield count(metric, round(answers * below), le=le, **who)
    yield count(
        "errors_total", 2 * max(times - 1, 0), version="2", role="canary", error="exception"
    )


def assert_tidy(tiles: Mapping[str, Any]) -> None:
    for name, tile in tiles.items():
        assert tile.kind != "problem", f"{name}: {tile.text}"
        assert not tile.outside, f"{name}: cut off: {tile.outside}"
        assert not tile.overlapping, f"{name}: on each other: {tile.overlapping}"


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ("sklearn_training", SKLEARN),
        ("xgboost_training", XGBOOST),
        ("model_selection", SELECTION),
        ("deployment", SERVING),
    ],
)
@pytest.mark.usefixtures("served")
def test_numbers_are_shown_where_there_are_some(
    pipeline: str, expected: Mapping[str, tuple[str, ...]], open_dashboard: Open
) -> None:
    tiles = open_dashboard(f"pipelines/{pipeline}", picture=pipeline)

    assert_tidy(tiles)
    for name, text in itertools.chain(*([(n, t) for t in texts] for n, texts in expected.items())):
        assert text in tiles[name].text, (name, text, tiles[name].text)
    assert all(tile.kind in ("picture", "words") for tile in tiles.values())


@pytest.mark.parametrize("pipeline", ["sklearn_training", "deployment"])
@pytest.mark.usefixtures("no_tables")
def test_before_there_is_data_each_tile_says_what_will_fill_it(
    pipeline: str, open_dashboard: Open
) -> None:
    tiles = open_dashboard(f"pipelines/{pipeline}", picture=f"{pipeline}-empty")

    assert_tidy(tiles)
    for name, tile in tiles.items():
        assert tile.kind == "empty", (name, tile.text)
        assert "mlops " in tile.text, name
