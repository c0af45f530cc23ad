"""A declared dataset's champion, trained in a moment: what the server needs of any table."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.histories import DatasetHistory, snapshot_of
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.training.artifact import TabularModel
from tests.datasets.declared.deliveries import START, deliveries, frame_of

AS_OF = START + timedelta(days=9)
TIMELESS = deliveries(
    histories="{}",
    time="null",
    features="{weight: {type: number, optional: true}, city: category, ready_at: "
    "{type: time, calendar: [hour]}}",
    rules="[]",
    split="{by: random, validation: 0.2, test: 0.2}",
)
ROW: dict[str, Any] = {
    "ordered_at": "2024-03-07T12:30:00",
    "weight": 2.5,
    "quoted": 30,
    "fragile": True,
    "city": "Rome",
    "courier": "x",
    "promised_at": "2024-03-07T13:30:00",
    "ready_at": "2024-03-07T12:40:00",
}


def delivered(rows: int = 400) -> pd.DataFrame:
    """Return deliveries of eight days, with minutes that follow from what was quoted."""
    random = np.random.default_rng(7)

    def some(values: Any) -> list[Any]:
        return [None if random.random() < 0.2 else value for value in values]

    minutes = random.integers(0, 8 * 24 * 60, rows)
    quoted = random.integers(5, 60, rows).astype(float)
    columns = {
        "order": [str(number) for number in range(rows)],
        "ordered_at": [START + timedelta(minutes=int(m)) for m in minutes],
        "lasts": (quoted + 10).tolist(),
        "minutes": (quoted + random.uniform(0, 20, rows)).tolist(),
        "weight": some(random.uniform(0, 50, rows).tolist()),
        "quoted": quoted.tolist(),
        "fragile": some((random.random(rows) < 0.5).tolist()),
        "city": random.choice(["Rome", "Milan", "7"], rows).tolist(),
        "courier": some(random.choice(["x", "y"], rows).tolist()),
        "promised_at": some([START + timedelta(minutes=int(m) + 60) for m in minutes]),
        "ready_at": some([START + timedelta(minutes=int(m) + 9) for m in minutes]),
        "depot": ["north"] * rows,
    }
    return frame_of(
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    )


@cache
def table_model(rounds: int = 6, *, timeless: bool = False) -> TabularModel:
    """Return a calibrated model of deliveries, or of a part of it without time and histories."""
    definition = TIMELESS if timeless else deliveries()
    frame, snapshot = delivered(), None
    if definition.histories:
        snapshot = snapshot_of(definition, frame, AS_OF)
        frame = pd.concat([frame, DatasetHistory(definition).annotate(frame)], axis=1)
    encoder = TableEncoder.fit(definition, frame, snapshot)
    model = TabularModel.fit(
        "squared_error",
        {"rounds": rounds},
        frame,
        encoder,
        definition.task.target,
        seed=1,
        threads=1,
    )
    return model.with_residual_interval(model, frame)


@cache
def served_table(version: int = 1, rounds: int = 6) -> CompiledModel:
    """Return the same, compiled."""
    return compile_model(table_model(rounds=rounds), version, {"run_id": f"run-{version}"})
