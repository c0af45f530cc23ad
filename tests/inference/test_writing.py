"""The distribution of predictions is that of the values, however they come in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.inference.writing import OUTPUTS, PredictionWriter


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(0, 200, width=32), min_size=1, max_size=60),
    cut=st.integers(0, 60),
)
def test_the_distribution_is_exact_to_the_hundredth(values: list[float], cut: int) -> None:
    minutes = np.array(values, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        # Given predictions in two chunks, one of them maybe empty
        with PredictionWriter(Path(folder), pa.int64(), {"run_id": "1"}) as writer:
            for chunk in (minutes[:cut], minutes[cut:]):
                same = np.stack([chunk] * len(OUTPUTS), axis=1)
                writer.predicted(pa.array(np.arange(len(chunk))), "a", same)
        assert len(pd.read_parquet(Path(folder) / "predictions.parquet")) == len(minutes)
    # Then mean and quantiles are those of the values
    found = writer.distribution()
    assert found is not None
    np.testing.assert_allclose(found.mean, minutes.mean(dtype=float), rtol=1e-6, atol=1e-9)
    expected = np.quantile(minutes, [0.1, 0.5, 0.9], method="inverted_cdf")
    np.testing.assert_allclose([found.p10, found.p50, found.p90], expected, atol=0.0101)


def test_there_is_no_distribution_of_nothing(tmp_path: Path) -> None:
    with PredictionWriter(tmp_path, pa.int64(), {}) as writer:
        pass
    assert writer.distribution() is None
    assert pd.read_parquet(tmp_path / "predictions.parquet").empty
