"""`--train-data A --validation-data B [--test-data C]`: files given by hand become windows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mlops.data.files.folders import files_of
from mlops.data.locations import location_of
from mlops.datasets.taxi.files.periods import pickup_quantiles
from mlops.errors import ConfigurationError
from mlops.settings import Clock

# Real files hold a few trips dated far outside their period; they must not move a boundary.
STRAY_SHARE = 0.005


def source_of(
    train: Path, validation: Path | None, test: Path | None, taxi: str, clock: Clock = "auto"
) -> dict[str, Any]:
    """Turn the files into overrides of source and windows.

    Without a test file, the second half of the validation file (in time) is the test window, so
    that nothing is judged on trips that guided the search.

    Raises:
        ConfigurationError: If a file is missing or the periods are out of order.
    """
    if validation is None:
        raise ConfigurationError(
            "--train-data needs --validation-data", "give a later file as --validation-data"
        )
    files = [path for path in (train, validation, test) if path is not None]
    for path in files:
        if not path.exists():
            raise ConfigurationError(f"{path} does not exist", "check the path of the file")
    train_start, _ = _period(train, taxi, clock)
    start, end = _period(validation, taxi, clock)
    test_start = _period(test, taxi, clock)[0] if test is not None else start + (end - start) / 2
    test_day = (test_start + timedelta(hours=12)).normalize()
    if not train_start < start < test_day:
        raise ConfigurationError(
            f"the files are not in chronological order: training starts {train_start:%Y-%m-%d}, "
            f"validation {start:%Y-%m-%d}, test {test_day:%Y-%m-%d}",
            "training trips must come before validation trips, and these before test trips",
        )
    return {
        "source.kind": "path",
        "source.location": location_of([str(path.resolve()) for path in files]),
        "windows.validation_start": start.date().isoformat(),
        "windows.test_start": test_day.date().isoformat(),
    }


def _period(path: Path, taxi: str, clock: Clock) -> tuple[pd.Timestamp, pd.Timestamp]:
    first, last = pickup_quantiles(files_of(path), taxi, [STRAY_SHARE, 1 - STRAY_SHARE], clock)
    return first.normalize(), last
