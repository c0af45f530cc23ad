"""A worker killed while it logs: what it had stored is there, whole, and nothing else is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops.records.atomic import TEMPORARY_PREFIX
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.log.reading import read_log
from mlops.settings import load_settings

WORKER = Path(__file__).parents[1].joinpath("append_until_killed.py")


@pytest.mark.parametrize("rows", [1, 2_000])
def test_kill_9_loses_at_most_what_was_not_flushed(tmp_path: Path, rows: int) -> None:
    # Given a worker that logs requests numbered from zero, flushing as often as it can
    environment = {
        **os.environ,
        "MLOPS_HOME": str(tmp_path),
        "MLOPS_PREDICTION_LOG__FLUSH_SECONDS": "0.01",
    }
    worker = subprocess.Popen(
        [sys.executable, str(WORKER), str(rows)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    start = datetime.now(timezone.utc)
    # When it is killed in the middle
    stored = 0
    try:
        for line in worker.stdout:
            stored = int(line)
            if stored >= 40:
                break
    finally:
        worker.kill()
        lines = worker.stdout.read().split()
        worker.wait()
    # (what it had said and we had not read yet; the last line may be cut)
    stored = max([stored, *(int(line) for line in lines[:-1])])
    # Then every visible file is whole
    folder = tmp_path / "prediction_log"
    files = list(folder.glob("date=*/*"))
    assert files
    assert all(pq.ParquetFile(file).read(use_threads=False).num_rows for file in files)
    # And holds every request it had flushed, and each trip once
    settings = load_settings({"home": tmp_path})
    log = read_log(settings, start, datetime.now(timezone.utc) + timedelta(minutes=1))
    assert not log.duplicated(["request_id", "row"]).any()
    found = pd.to_numeric(log["request_id"]).unique()
    assert set(range(stored)) <= set(found)
    assert len(log) == rows * len(found), "a request is stored as a whole"
    # And its successor cleans up
    successor = PredictionLog(settings, "worker-0")
    successor.append(
        request_id="next",
        caller="someone",
        endpoint="predict",
        version=1,
        role="champion",
        columns={"pickup_at": (datetime(2024, 1, 1),), "pickup_zone": (1,), "dropoff_zone": (1,)},
        miles=(1.0,),
        minutes=((1.0, 1.0, 1.0),),
    )
    successor.close()
    assert successor.written == 1
    assert not list(folder.glob(f"{TEMPORARY_PREFIX}*"))
