"""The distribution of predictions is that of the values, however they come in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.inference.writing import PredictionWriter

IDS = pa.schema([("id", pa.int64())])
OUTPUTS = ("prediction", "lower", "upper")


SPANS = {"a day": (0.0, 1440.0), "prices": (-3e5, 7e6), "nothing": (4.0, 4.0)}


@settings(max_examples=40, deadline=None)
@given(
    span=st.sampled_from(sorted(SPANS)),
    shares=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    cut=st.integers(0, 60),
)
def test_the_distribution_is_exact_to_a_small_part_of_the_span(
    span: str, shares: list[float], cut: int
) -> None:
    low, high = SPANS[span]
    values = np.float32(low) + np.array(shares, dtype=np.float32) * np.float32(high - low)
    with tempfile.TemporaryDirectory() as folder:
        # Given predictions in two chunks, one of them maybe empty
        given_ = (Path(folder), IDS, OUTPUTS, (low, high), {"run_id": "1"})
        with PredictionWriter(*given_) as writer:
            for chunk in (values[:cut], values[cut:]):
                same = np.stack([chunk] * len(OUTPUTS), axis=1)
                writer.predicted(pa.table([np.arange(len(chunk))], schema=IDS), "a", same)
        assert len(pd.read_parquet(Path(folder) / "predictions.parquet")) == len(values)
    # Then mean and quantiles are those of the values, of a day to the hundredth of a minute
    found = writer.distribution()
    assert found is not None
    part = (high - low or 1.0) / 144_000
    np.testing.assert_allclose(found.mean, values.mean(dtype=float), rtol=1e-6, atol=part)
    expected = np.quantile(values, [0.1, 0.5, 0.9], method="inverted_cdf")
    np.testing.assert_allclose([found.p10, found.p50, found.p90], expected, atol=1.1 * part)


def test_a_column_of_texts_is_one_even_where_each_is_missing(tmp_path: Path) -> None:
    with PredictionWriter(tmp_path, IDS, OUTPUTS, (0, 1), {}) as writer:
        for number, text in enumerate([None, "x"]):
            bad = pd.DataFrame({"place": np.array([text], object), "reasons": ["broken"]})
            writer.set_aside(pa.table([[number]], schema=IDS), "a", bad)
    rejected = pd.read_parquet(tmp_path / "rejected.parquet")
    assert rejected["place"].tolist() == [None, "x"]
    assert writer.reasons == {"broken": 2}


def test_there_is_no_distribution_of_nothing(tmp_path: Path) -> None:
    with PredictionWriter(tmp_path, IDS, OUTPUTS, (0, 1), {}) as writer:
        pass
    assert writer.distribution() is None
    assert pd.read_parquet(tmp_path / "predictions.parquet").empty
