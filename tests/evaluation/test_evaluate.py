"""Evaluation of a whole model: the numbers are its predictions', cost is measured, JSON works."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.errors import DataQualityError
from mlops.evaluation.evaluate import Evaluation, gather_evidence
from mlops.evaluation.performance import prediction_latency_ms, saved_size_mb, size_mb
from mlops.settings import EvaluationSettings

SETTINGS = EvaluationSettings(latency_samples=3, latency_warm_up=1)


class ThreeMinutesPerMile:
    """A model simple enough to know its errors by heart."""

    def __init__(self, interval: bool = True, delay: float = 0.0) -> None:
        self.interval, self.delay, self.calls = interval, delay, 0

    def predict_point(self, frame: pd.DataFrame) -> np.ndarray:
        return 3 * frame["trip_distance"].to_numpy()

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        time.sleep(self.delay if self.calls else self.delay * 20)
        self.calls += 1
        minutes = self.predict_point(frame)
        margin = 2.0 if self.interval else np.nan
        return pd.DataFrame(
            {
                "prediction_minutes": minutes,
                "lower_minutes": minutes - margin,
                "upper_minutes": minutes + margin,
            }
        )

    def save(self, path: Path) -> None:
        path.mkdir()
        (path / "weights").write_bytes(bytes(1_500_000))
        (path / "notes").write_bytes(bytes(500_000))


@pytest.fixture
def window() -> pd.DataFrame:
    request = [pd.Timestamp("2024-02-01 08:00"), 74, 161, 2.0, 1.0, 1.0, 1.0, 2.0]
    frame = pd.DataFrame([request] * 4, columns=list(REQUEST_COLUMNS)).astype(REQUEST_COLUMNS)
    return frame.assign(**{TARGET: [6.0, 7.0, 5.0, 10.0]})


def test_the_evidence_is_that_of_the_predictions(window: pd.DataFrame) -> None:
    found = gather_evidence(ThreeMinutesPerMile(), window, TaxiTrips(), SETTINGS, ("seed",))

    assert found.errors.tolist() == [0, -1, 1, -4]
    assert found.evaluation.metrics.mae == 1.5
    assert found.evaluation.interval is not None
    assert found.evaluation.interval.coverage == 0.75
    assert {entry.rows for entry in found.evaluation.slices} == {4}
    assert found.labels["hour"].tolist() == ["morning rush"] * 4
    assert found.evaluation.size_mb == 2.0
    assert found.receipt_gaps == ("seed",)


def test_a_model_without_interval_has_none(window: pd.DataFrame) -> None:
    found = gather_evidence(ThreeMinutesPerMile(interval=False), window, TaxiTrips(), SETTINGS)

    assert found.evaluation.interval is None


def test_an_evaluation_survives_json(window: pd.DataFrame) -> None:
    found = gather_evidence(ThreeMinutesPerMile(), window, TaxiTrips(), SETTINGS).evaluation

    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_an_empty_window_is_refused(window: pd.DataFrame) -> None:
    with pytest.raises(DataQualityError, match="no row"):
        gather_evidence(ThreeMinutesPerMile(), window.iloc[:0], TaxiTrips(), SETTINGS)


def test_latency_is_per_request_and_leaves_out_the_warm_up(window: pd.DataFrame) -> None:
    # Given a model that takes 5 ms, but 100 ms the first time
    model = ThreeMinutesPerMile(delay=0.005)

    found = prediction_latency_ms(model, window, samples=1, warm_up=1)

    assert model.calls == 2
    assert 5 <= found < 40


def test_size_is_that_of_all_files(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(bytes(250_000))

    assert size_mb(file) == 0.25
    assert size_mb(tmp_path) == 0.25
    assert saved_size_mb(ThreeMinutesPerMile()) == 2.0
