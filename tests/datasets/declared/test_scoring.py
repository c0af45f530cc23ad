"""Files of requests of a declared table: read without answers, known again by their key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.files.described import describe
from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.declared.scoring import RowRequestFiles
from mlops.errors import ConfigurationError, SourceError
from mlops.inference.batch import PredictionSummary, score
from mlops.settings import Settings, load_settings
from tests.datasets.declared.deliveries import DELIVERIES, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

ANSWERS = ["minutes", "delivered_at", "depot"]  # what nobody knows when a prediction is asked for


class Quoted:
    """Answers a delivery with what was quoted for it."""

    shortest, longest = -10.0, 90.0

    def __init__(self) -> None:
        self.rows: list[pd.DataFrame] = []

    def predict(self, requests: pd.DataFrame) -> Any:
        self.rows.append(requests)
        return np.outer(requests["quoted"], [1.0, 0.5, 2.0])


@pytest.fixture
def config(tmp_path: Path, declare: Callable[[str], Path]) -> Settings:
    declare(DELIVERIES)
    given = {"home": str(tmp_path / "home"), "dataset": "deliveries", "inference.chunk_rows": 7}
    return load_settings({**given, "location": str(tmp_path / "deliveries_{month}.csv")})


def rows(count: int) -> pd.DataFrame:
    made = [{**ROW, "order": str(n), "city": "Rome", "weight": 2.0} for n in range(count)]
    return frame_of(made).assign(quoted=np.arange(count) + 1.0)


def scored(files: list[Any], config: Settings, model: Any = None) -> PredictionSummary:
    identity = {"model_version": 1, "model_id": "m", "run_id": "1"}
    return score(model or Quoted(), files, DeclaredDataset(deliveries()), config, **identity)


def test_each_row_is_predicted_or_set_aside_under_its_key(config: Settings, tmp_path: Path) -> None:
    # Given twenty deliveries without answers, three of which break a rule of requests
    asked = rows(20).drop(columns=ANSWERS)
    asked.loc[[2, 9], "weight"] = 60.0
    asked.loc[9, "city"] = "Turin"
    asked.loc[4, "quoted"] = 0.5  # which is flagged only
    asked.to_csv(tmp_path / "a.csv", index=False)
    # When they are scored
    model = Quoted()
    summary = scored([tmp_path / "a.csv"], config, model)
    # Then the key names predictions and rejections, and the columns are those of any table
    found = pd.read_parquet(summary.predictions_uri)
    assert [*found][:5] == ["order", "source_file", "prediction", "lower", "upper"]
    kept = asked.drop([2, 9])
    assert found["order"].tolist() == kept["order"].tolist()
    assert found["prediction"].tolist() == kept["quoted"].tolist()
    bad = pd.read_parquet(str(summary.rejected_uri))
    assert bad["order"].tolist() == ["2", "9"]
    assert bad["reasons"].tolist() == ["weight_wrong", "weight_wrong; city_unknown"]
    assert (summary.dataset, summary.taxi, summary.unit) == ("deliveries", "", "minutes")
    assert Path(summary.uri).parent == config.predictions
    assert "90 % below 19.0 minutes" in summary.summary
    # And the same file is not predicted twice
    calls = len(model.rows)
    assert scored([tmp_path / "a.csv"], config, model) == summary and len(model.rows) == calls


@pytest.mark.parametrize("key", ["", "[order, depot]"])
def test_rows_are_numbered_where_a_file_does_not_have_the_whole_key(
    key: str, config: Settings, tmp_path: Path
) -> None:
    definition = deliveries(key=key or "[]")
    rows(20).drop(columns=ANSWERS).to_parquet(tmp_path / "a.parquet")
    files = RowRequestFiles(definition, config)
    file = describe(tmp_path / "a.parquet", files.count, "", "a.parquet")
    names = files.identifiers([file])
    assert names.names == [*(["order"] if key else []), "row"]
    chunks = [*files.chunks(file, names)]
    assert [number for ids, _ in chunks for number in ids["row"].to_pylist()] == [*range(20)]
    assert {len(requests) for _, requests in chunks} == {7, 6}
    assert all([*requests] == [*definition.request_columns] for _, requests in chunks)


def test_a_key_must_not_hide_what_predicting_adds(config: Settings) -> None:
    definition = deliveries(key="[lower]")
    with pytest.raises(ConfigurationError, match="deliveries: lower, a column of the key"):
        RowRequestFiles(definition, config).identifiers([])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda asked: asked.drop(columns="city"), "the column city .*is missing"),
        (lambda asked: asked.assign(quoted="soon"), "quoted holds 'soon'"),
    ],
)
def test_a_file_of_another_table_is_refused(
    change: Any, said: str, config: Settings, tmp_path: Path
) -> None:
    change(rows(3)).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(SourceError, match=f"a.csv: .*{said}"):
        scored([tmp_path / "a.csv"], config)


def test_the_newest_month_is_predicted_unless_another_is_asked_for(
    config: Settings, tmp_path: Path
) -> None:
    for month, count in (("2024-02", 4), ("2024-03", 3)):
        rows(count).drop(columns=ANSWERS).to_csv(tmp_path / f"deliveries_{month}.csv", index=False)
    files = RowRequestFiles(deliveries(), config)
    assert [(f.month, f.rows) for f in files.extract("").files] == [("2024-03", 3)]
    assert [(f.month, f.rows) for f in files.extract("2024-02").files] == [("2024-02", 4)]


def test_no_month_can_be_chosen_of_a_table_without_months(config: Settings, tmp_path: Path) -> None:
    rows(4).to_csv(tmp_path / "all.csv", index=False)
    source = config.source.model_copy(update={"location": str(tmp_path / "all.csv")})
    files = RowRequestFiles(deliveries(), config.model_copy(update={"source": source}))
    assert [(f.month, f.rows) for f in files.extract("").files] == [("", 4)]
    with pytest.raises(ConfigurationError, match=r"score_months: 2024-02, but .*all.csv has no"):
        files.extract("2024-02")
