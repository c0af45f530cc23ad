"""Recording: what was requested, what may be learned from, and where the drift begins."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.backtest.recording import record
from mlops.datasets.taxi.contract.validation import validate
from mlops.datasets.taxi.sources import extract
from mlops.errors import ConfigurationError, SourceError
from mlops.settings import load_settings

MONTHS = ("2023-10", "2023-11")
END = datetime(2024, 2, 1)


def configured(home: Path, **changes: Any) -> Any:
    names = {"source.months": ",".join(MONTHS), "source.sample_rows": 1_500}
    return load_settings({"home": str(home), **names, **changes})


def test_what_may_be_learned_from_is_what_the_pipelines_keep(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    kept = validate(extract(settings), settings).quality.rows_kept

    clock = record(settings, MONTHS).clock(END)

    assert len(clock.finished()) == kept
    requests = clock.requests(datetime(2023, 10, 1), END)
    assert kept < len(requests)  # what turned out unclean was answered, too
    assert set(clock.finished().index) <= set(requests.index)


def test_drift_from_a_month_on_holds_for_every_later_month(tmp_path: Path) -> None:
    months = ("2023-09", "2023-10", "2023-11")
    start = {"backtest.drift_from": "2023-10", "source.sample_drift": 1.0}
    settings = configured(tmp_path, **start, **{"source.months": ",".join(months)})

    trips = record(settings, months).clock(END).finished()

    minutes = trips.groupby(trips["pickup_at"].dt.month)["duration_minutes"].mean()
    assert minutes[10] > 1.05 * minutes[9]
    assert minutes[11] > 1.05 * minutes[9]


def test_missing_months_are_named(tmp_path: Path, sample_history: Any) -> None:
    settings = configured(tmp_path)
    extraction = extract(settings)
    only = extraction.files[0].uri
    listed = configured(tmp_path, **{"source.kind": "path", "source.location": only})
    folder = configured(
        tmp_path, **{"source.kind": "path", "source.location": str(Path(only).parent)}
    )

    with pytest.raises(ConfigurationError, match="2023-11"):
        record(listed, MONTHS)
    with pytest.raises(SourceError, match="2024-05"):
        record(
            folder.model_copy(
                update={"source": folder.source.model_copy(update={"months": "2024-05"})}
            ),
            ("2024-05",),
        )
