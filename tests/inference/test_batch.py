"""Batch scoring: every row accounted for, once, in chunks, whatever the rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError, SourceError
from mlops.inference.batch import PredictionSummary, score
from mlops.settings import Settings, load_settings


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path / "home"), "inference.chunk_rows": 64})


def scored(
    model: Any,
    files: list[Any],
    config: Settings,
    version: int = 1,
    run: str = "1",
    of: str = "a model",
) -> PredictionSummary:
    return score(
        model, files, dataset_of(config), config, model_version=version, model_id=of, run_id=run
    )


def test_every_row_is_predicted_or_set_aside_with_a_reason(
    model: Any, make_trips: Any, write_source: Any, config: Settings, tmp_path: Path
) -> None:
    # Given 200 trips of which three cannot be answered
    trips = make_trips(200)
    trips.loc[[3, 70], "dropoff_zone"] = 0
    trips.loc[[70, 199], "trip_distance"] = 5_000.0
    source = write_source(trips, tmp_path / "a.parquet")
    # When the file is scored
    summary = scored(model, [source], config)
    # Then the rest have their prediction, by row number
    predictions = pd.read_parquet(summary.predictions_uri)
    expected = trips.drop(index=[3, 70, 199])
    assert predictions["trip_id"].tolist() == expected.index.tolist()
    np.testing.assert_allclose(
        predictions["prediction_minutes"], 5 + 2 * expected["trip_distance"], rtol=1e-6
    )
    assert (summary.rows, summary.rejected) == (197, 3)
    # And the three are set aside with their reasons
    aside = pd.read_parquet(summary.rejected_uri or "")
    assert aside["trip_id"].tolist() == [3, 70, 199]
    assert aside["reasons"].tolist() == [
        "zone_invalid",
        "zone_invalid; distance_too_long",
        "distance_too_long",
    ]
    assert summary.rejected_by_reason == {"zone_invalid": 2, "distance_too_long": 2}
    # And the model never saw more than a chunk
    assert max(model.calls) <= 64


def test_each_prediction_says_where_it_comes_from(
    model: Any, make_trips: Any, write_source: Any, config: Settings, tmp_path: Path
) -> None:
    source = write_source(make_trips(10), tmp_path / "a.parquet")
    summary = scored(model, [source], config, version=7, run="42")
    predictions = pd.read_parquet(summary.predictions_uri)
    assert list(predictions.columns) == [
        "trip_id",
        "source_file",
        "prediction_minutes",
        "lower_minutes",
        "upper_minutes",
        "model_version",
        "data_hash",
        "run_id",
        "predicted_at",
    ]
    assert (predictions.dtypes[2:5] == np.float32).all()
    row = predictions.iloc[0]
    assert (row["model_version"], row["run_id"], row["source_file"]) == ("7", "42", "a.parquet")
    assert row["data_hash"] == summary.data_hash
    assert row["predicted_at"] == summary.predicted_at
    folder = Path(summary.uri)
    assert folder.parent == config.predictions / "green" and folder.name.endswith("-v7")
    stored = (folder / "summary.json").read_text()
    assert PredictionSummary.model_validate_json(stored) == summary
    # And batches that were written when trips were all there was are read, too
    older = stored.replace('"distribution":', '"minutes":')
    assert PredictionSummary.model_validate_json(older) == summary


def test_the_chunk_size_does_not_change_the_result(
    model: Any, make_trips: Any, write_source: Any, tmp_path: Path
) -> None:
    trips = make_trips(150)
    trips.loc[::20, "pickup_zone"] = 0
    source = write_source(trips, tmp_path / "a.parquet", row_group_size=31)
    frames, summaries = [], []
    for rows in (7, 150, 100_000):
        config = load_settings({"home": str(tmp_path / str(rows)), "inference.chunk_rows": rows})
        summaries.append(scored(model, [source], config))
        frames.append(pd.read_parquet(summaries[-1].predictions_uri).drop(columns="predicted_at"))
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])
    assert len({s.distribution.model_dump_json() if s.distribution else "" for s in summaries}) <= 3
    assert summaries[0].distribution is not None
    assert summaries[0].distribution.p50 == summaries[2].distribution.p50  # type: ignore[union-attr]


def test_the_same_input_and_model_are_scored_once(
    model: Any, make_trips: Any, write_source: Any, config: Settings, tmp_path: Path
) -> None:
    source = write_source(make_trips(50), tmp_path / "a.parquet")
    first = scored(model, [source], config, run="1")
    calls = list(model.calls)
    # The same again, by another run: nothing is computed
    again = scored(model, [write_source(make_trips(50), tmp_path / "a.parquet")], config, run="2")
    assert again == first
    assert model.calls == calls
    # Another model, be it of the same number, or other rows, or another name, are another batch
    others = [
        scored(model, [source], config, version=2),
        scored(model, [source], config, of="another registry's first"),
        scored(model, [write_source(make_trips(51), tmp_path / "c.parquet")], config),
        scored(model, [write_source(make_trips(50), tmp_path / "b.parquet")], config),
    ]
    assert len({first.uri, *(other.uri for other in others)}) == 5


def test_a_file_that_changed_after_it_was_extracted_is_scored_as_it_lies_there(
    model: Any, make_trips: Any, write_source: Any, config: Settings, tmp_path: Path
) -> None:
    extracted = write_source(make_trips(50), tmp_path / "a.parquet")
    write_source(make_trips(20), tmp_path / "a.parquet")
    assert scored(model, [extracted], config).rows == 20
    write_source(make_trips(50), tmp_path / "a.parquet")
    assert scored(model, [extracted], config).rows == 50


def test_a_file_that_changes_while_it_is_scored_leaves_no_predictions(
    model: Any, make_trips: Any, write_source: Any, config: Settings, tmp_path: Path
) -> None:
    source = write_source(make_trips(50), tmp_path / "a.parquet")

    class Slow:
        def predict(self, requests: pd.DataFrame, *more: Any) -> Any:
            write_source(make_trips(50, seed=2), tmp_path / "a.parquet")
            return model.predict(requests, *more)

    with pytest.raises(SourceError, match="changed while it was read"):
        scored(Slow(), [source], config)
    assert not list(config.predictions.rglob("summary.json"))


def test_given_ids_are_kept_and_files_told_apart(
    model: Any, make_trips: Any, config: Settings, tmp_path: Path
) -> None:
    # Given one file with ids of its own and one without
    ids = [f"trip-{number}" for number in range(100)]
    make_trips(100).assign(trip_id=ids).to_parquet(tmp_path / "a.parquet", row_group_size=9)
    make_trips(2, seed=5).to_parquet(tmp_path / "b.parquet")
    # When both are scored, given as paths
    summary = scored(model, [tmp_path / "a.parquet", str(tmp_path / "b.parquet")], config)
    # Then ids are text, and row numbers start anew in the second file
    predictions = pd.read_parquet(summary.predictions_uri)
    assert predictions["trip_id"].tolist() == [*ids, "0", "1"]
    assert predictions["source_file"].tolist() == ["a.parquet"] * 100 + ["b.parquet"] * 2


def test_requests_without_optional_columns_are_answered(
    model: Any, make_trips: Any, config: Settings, tmp_path: Path
) -> None:
    needed = ["pickup_at", "pickup_zone", "dropoff_zone"]
    make_trips(10)[needed].to_parquet(tmp_path / "a.parquet")
    assert scored(model, [tmp_path / "a.parquet"], config).rows == 10


def test_a_file_without_trips_is_named(
    model: Any, make_trips: Any, config: Settings, tmp_path: Path
) -> None:
    # Given two files, of which one holds nothing but its columns
    make_trips(3).to_parquet(tmp_path / "a.parquet")
    make_trips(3).head(0).to_csv(tmp_path / "b.csv", index=False)

    summary = scored(model, [tmp_path / "a.parquet", tmp_path / "b.csv"], config)

    assert (summary.rows, summary.rejected, summary.remark) == (3, 0, "b.csv has no trips")
    assert summary.summary.startswith("3 predictions by version")
    assert summary.summary.endswith("\nb.csv has no trips")


def test_a_file_of_bad_rows_only_is_not_fatal(
    model: Any, make_trips: Any, config: Settings, tmp_path: Path
) -> None:
    make_trips(10).assign(pickup_zone=np.int32(0)).to_parquet(tmp_path / "a.parquet")
    summary = scored(model, [tmp_path / "a.parquet"], config)
    assert (summary.rows, summary.rejected, summary.distribution) == (0, 10, None)
    assert pd.read_parquet(summary.predictions_uri).empty
    assert "10 rows quarantined" in summary.summary


@pytest.mark.parametrize("fault", ["model", "source"])
def test_a_failure_leaves_no_predictions(
    broken_model: Any, model: Any, make_trips: Any, config: Settings, tmp_path: Path, fault: str
) -> None:
    make_trips(10).to_parquet(tmp_path / "a.parquet")
    expected: type[Exception]
    if fault == "model":
        used, files, expected = broken_model, [tmp_path / "a.parquet"], MlopsError
    else:
        used, files, expected = model, [tmp_path / "gone.parquet"], SourceError
    with pytest.raises(expected):
        scored(used, files, config)
    assert not list(config.predictions.rglob("*.*"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_memory_does_not_grow_with_the_input(make_trips: Any, tmp_path: Path) -> None:
    # Given the same trips 4 and 40 times
    trips = make_trips(20_000)
    peaks = {}
    for copies in (4, 40):
        path = tmp_path / f"{copies}.parquet"
        pd.concat([trips] * copies).to_parquet(path, index=False, row_group_size=20_000)
        # When each is scored in a process of its own
        script = [sys.executable, "-c", _PEAK, str(path), str(tmp_path / "home")]
        peaks[copies] = int(
            subprocess.run(script, capture_output=True, check=True).stdout.split()[-1]
        )
    # Then ten times the rows (72 MB more as a frame) take about the same memory
    assert peaks[40] - peaks[4] < 30_000  # KiB


_PEAK = """
import re, sys
from pathlib import Path
import pandas as pd
from mlops.datasets.opening import dataset_of
from mlops.inference.batch import score
from mlops.settings import load_settings

class Model:
    def predict(self, requests):
        minutes = requests["trip_distance"].to_numpy()
        names = ("prediction_minutes", "lower_minutes", "upper_minutes")
        return pd.DataFrame({name: minutes for name in names})

settings = load_settings({"home": sys.argv[2], "inference.chunk_rows": 20_000})
dataset, identity = dataset_of(settings), {"model_version": 1, "model_id": "m", "run_id": "1"}
score(Model(), [sys.argv[1]], dataset, settings, **identity)
# Not getrusage: it counts the parent's memory before exec.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.real_data
def test_a_real_month_is_scored(model: Any, real_data: Path, tmp_path: Path) -> None:
    config = load_settings({"home": str(tmp_path)})
    summary = scored(model, [real_data / "green" / "green_tripdata_2024-02.parquet"], config)
    assert summary.rows + summary.rejected == 53_577
    assert 0 < summary.rejected < 100
