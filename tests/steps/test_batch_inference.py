"""Batches by a champion that learned from synthetic trips: which trips it may score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlops.cli import build_app
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.sample.schema import MARKED_COLUMN
from mlops.errors import ConfigurationError
from mlops.inference.batch import PredictionSummary
from mlops.inference.writing import SYNTHETIC_MODEL
from mlops.registry.versions import Registry
from mlops.settings import load_settings
from mlops.steps import batch_inference


@pytest.fixture(scope="module")
def synthetic_home(
    tmp_path_factory: pytest.TempPathFactory, make_champion: Callable[[Path], None]
) -> Path:
    home = tmp_path_factory.mktemp("synthetic")
    make_champion(home)
    champion = Registry(load_settings({"home": home})).champion()
    assert champion is not None and champion.synthetic
    return home


@pytest.fixture
def home(synthetic_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(synthetic_home))
    return synthetic_home


@pytest.fixture(scope="module")
def real_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("real") / "green_tripdata_2024-02.parquet"
    generate_month("2024-02", 300, 1).to_pandas().drop(columns=MARKED_COLUMN).to_parquet(file)
    return file


def test_synthetic_trips_are_scored_and_the_result_says_synthetic(home: Path) -> None:
    given = {"source.sample_rows": 300, "score_months": "2024-02"}
    scored = batch_inference.score_trips(batch_inference.load(given), given)

    assert "version 1 (learned from synthetic rows)" in scored.pop("summary")
    summary = PredictionSummary.model_validate(scored)
    assert summary.synthetic_model and summary.rows
    metadata = pq.read_schema(summary.predictions_uri).metadata
    assert metadata[SYNTHETIC_MODEL.encode()] == b"true"


@pytest.mark.parametrize(
    ("given", "trips"),
    [
        ({"taxi": "yellow"}, "synthetic trips of yellow taxis"),
        ({"source": "tlc"}, "real trips of green taxis"),
        ({"source": "path", "taxi": "yellow", "location": "/nowhere"}, "trips of yellow taxis"),
    ],
)
def test_trips_the_champion_knows_nothing_of_are_refused_before_any_is_fetched(
    home: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], trips: str
) -> None:
    monkeypatch.setattr(
        "mlops.datasets.taxi.scoring.extract", lambda settings: pytest.fail("fetched")
    )
    with pytest.raises(ConfigurationError, match=f"version 1, the champion, .*{trips}"):
        batch_inference.load(given)


def test_files_of_a_folder_are_judged_by_their_mark(
    home: Path, real_file: Path, tmp_path: Path
) -> None:
    generated = tmp_path / "green_tripdata_2024-02.parquet"
    pq.write_table(generate_month("2024-02", 300, 1), generated)
    given = {"source": "path", "score_months": "2024-02"}
    assert batch_inference.load({**given, "location": str(tmp_path)})["synthetic"]
    with pytest.raises(ConfigurationError, match=r"cannot predict real trips of green taxis"):
        batch_inference.load({**given, "location": str(real_file.parent)})


def test_an_explicit_option_lets_it_score_real_trips(home: Path, real_file: Path) -> None:
    given = {"source": "path", "location": str(real_file), "score_months": "2024-02"}
    allowed = {**given, "allow_mismatch": "true"}
    extraction = batch_inference.load(allowed)
    with pytest.raises(ConfigurationError, match="allow_mismatch"):
        batch_inference.score_trips(extraction, given)
    assert batch_inference.score_trips(extraction, allowed)["rows"]


def test_the_command_line_refuses_a_file_of_real_trips_unless_told_otherwise(
    home: Path, real_file: Path, tmp_path: Path
) -> None:
    def predict(*arguments: str) -> Any:
        return CliRunner().invoke(build_app(), ["predict", *arguments])

    for file, taxi in ((real_file, "green"), (real_file, "yellow")):
        refused = predict(str(file), "--taxi", taxi)
        assert isinstance(refused.exception, ConfigurationError), refused.output
        assert f"real trips of {taxi} taxis" in str(refused.exception)
        assert "--allow-mismatch" in refused.exception.hint
    allowed = predict(str(real_file), "--allow-mismatch")
    assert allowed.exit_code == 0, allowed.exception
    assert "learned from synthetic rows" in " ".join(allowed.output.split())

    generated = tmp_path / "generated.parquet"
    pq.write_table(generate_month("2024-02", 300, 1), generated)
    assert predict(str(generated)).exit_code == 0

    trip = pd.Series({"pickup_at": "2024-02-10T08:30:00", "pickup_zone": 74, "dropoff_zone": 166})
    assert '"synthetic": true' in predict(trip.to_json(), "--json").output
