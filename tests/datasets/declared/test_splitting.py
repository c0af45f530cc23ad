"""Windows never overlap and know no future; other splits depend on nothing but the row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.declared.splitting import split_days, split_rows
from mlops.errors import DataQualityError
from tests.datasets.declared.deliveries import START, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DAYS = 20
FRAME = frame_of(
    [
        {**ROW, "order": f"{hour}", "ordered_at": START + timedelta(hours=hour), "lasts": 180.0}
        for hour in range(0, DAYS * 24, 2)
    ]
)
# What a table without times declares.
TIMELESS: dict[str, str] = {
    "time": "null",
    "histories": "{}",
    "features": "{weight: number, city: category}",
    "rules": "[]",
}


def test_windows_in_time() -> None:
    # Given two days of validation and two of test, of twenty
    split = split_rows(deliveries(), FRAME)

    last = {name: FRAME["ordered_at"][mask].max() for name, mask in split._asdict().items()}

    # Then a row whose outcome reached the files after its window ended is in no window: the last
    # nine hours (three of the delivery, six of the delay).
    assert last["train"] == START + timedelta(days=DAYS - 4, hours=-10)
    assert last["validation"] == START + timedelta(days=DAYS - 2, hours=-10)
    assert split.test.sum() == 24
    assert (split.train.astype(int) + split.validation + split.test).max() == 1


def test_a_month_is_a_calendar_month() -> None:
    definition = deliveries(split="{validation: 2d, test: 1 month}")

    days = split_days(definition, FRAME, end=datetime(2024, 4, 1))

    assert days.test == datetime(2024, 3, 1)
    assert days.validation == datetime(2024, 2, 28)


def test_windows_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataQualityError, match="18d of validation and 2d of test leave no day"):
        split_rows(deliveries(split="{validation: 18d, test: 2d}"), FRAME)


@pytest.mark.parametrize("by", ["random", "group"])
def test_a_share_of_rows_whatever_their_order(by: str) -> None:
    group = "depot" if by == "group" else "null"
    split = f"{{by: {by}, validation: 0.2, test: 0.3, group: {group if by == 'group' else '[]'}}}"
    definition = deliveries(split=split, **TIMELESS)
    frame = pd.DataFrame({"order": [str(n) for n in range(2_000)]})
    frame["depot"] = [f"depot {n % 100}" for n in range(2_000)]
    order = np.random.default_rng(0).permutation(len(frame))

    masks = split_rows(definition, frame)
    shuffled = split_rows(definition, frame.take(order))

    for mask, other in zip(masks, shuffled, strict=True):
        np.testing.assert_array_equal(mask[order], other)
    assert (masks.train.astype(int) + masks.validation + masks.test == 1).all()
    assert masks.test.mean() == pytest.approx(0.3, abs=0.04 if by == "random" else 0.15)
    if by == "group":
        together = pd.Series(masks.test).groupby(frame["depot"].to_numpy()).nunique()
        assert together.max() == 1


def test_rows_without_a_key_that_are_equal_stay_together() -> None:
    split = "{by: random, validation: 0.2, test: 0.3}"
    definition = deliveries(split=split, key="[]", **TIMELESS)
    frame = frame_of([{**ROW, "weight": float(n // 2)} for n in range(400)])

    masks: Any = split_rows(definition, frame)

    assert all((mask[::2] == mask[1::2]).all() for mask in masks)
