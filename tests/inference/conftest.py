"""A model whose answers are easy to foretell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.trips import REQUEST_COLUMNS


class PlainModel:
    """Two minutes per mile and five for the start; remembers how many rows it saw per call."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.calls: list[int] = []

    def predict(self, requests: pd.DataFrame) -> pd.DataFrame:
        assert requests.dtypes.astype(str).to_dict() == dict(REQUEST_COLUMNS)
        self.calls.append(len(requests))
        distance = requests["trip_distance"].fillna(1.0).to_numpy()
        minutes = (self.factor * (5 + 2 * distance)).astype(np.float32)
        return pd.DataFrame(
            {
                "prediction_minutes": minutes,
                "lower_minutes": minutes * 0.5,
                "upper_minutes": minutes * 2,
            }
        )


@pytest.fixture
def model() -> PlainModel:
    return PlainModel()


@pytest.fixture
def broken_model() -> PlainModel:
    return PlainModel(factor=float("nan"))
