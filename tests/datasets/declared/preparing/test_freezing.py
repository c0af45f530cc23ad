"""Frozen histories are those of the mornings of the windows, whole or made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.data.store.snapshots import publish_training_set
from mlops.datasets.declared.histories import snapshot_of
from mlops.datasets.declared.preparing.freezing import publish_histories
from mlops.datasets.declared.stored_snapshots import load_snapshot
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.datasets.declared.preparing.conftest import prepared, rows_of_days

Configured = Callable[..., Settings]
DEFINITION = deliveries(split="{validation: 2d, test: 18d}")


def test_histories_are_frozen_on_three_mornings(configured: Configured) -> None:
    settings = configured()
    manifest = publish_training_set(prepared(settings, DEFINITION), settings, "c0ffee")

    frozen = publish_histories(DEFINITION, manifest, settings)

    assert frozen.training_set == manifest.sha256
    rows = rows_of_days()
    mornings = {
        frozen.at_validation: datetime(2024, 3, 12),
        frozen.at_test: datetime(2024, 3, 14),
        frozen.latest: datetime(2024, 3, 17),
    }
    for file, morning in mornings.items():
        found = load_snapshot(Path(file))
        assert found.sha256 == snapshot_of(DEFINITION, rows, morning).sha256
    # And answer what the histories of the rows themselves said on that day.
    of_day = rows[rows["ordered_at"].dt.date == datetime(2024, 3, 14).date()]
    staged = pd.concat([pd.read_parquet(part.uri) for part in manifest.parts], ignore_index=True)
    answers = load_snapshot(Path(frozen.at_test)).lookup(DEFINITION, of_day)
    np.testing.assert_allclose(answers, staged.loc[of_day.index, [*answers]], rtol=1e-5)


def test_a_damaged_file_is_made_anew_and_the_name_is_about_the_definition(
    configured: Configured,
) -> None:
    settings = configured()
    manifest = publish_training_set(prepared(settings, DEFINITION), settings, "c0ffee")
    first = publish_histories(DEFINITION, manifest, settings)
    before = load_snapshot(Path(first.at_test)).sha256

    Path(first.at_test).write_bytes(b"damaged")
    again = publish_histories(DEFINITION, manifest, settings)

    assert again.sha256 == first.sha256
    assert load_snapshot(Path(again.at_test)).sha256 == before
    other = deliveries(split="{validation: 2d, test: 18d}", histories="{}")
    without = publish_histories(other, manifest, settings)
    assert without.sha256 != first.sha256
    assert load_snapshot(Path(without.latest)).tables == {}


@pytest.mark.parametrize("changes", [{"split": "{validation: 3d, test: 18d}"}, {"rules": "[]"}])
def test_any_change_of_the_definition_changes_the_name(
    configured: Configured, changes: dict[str, str]
) -> None:
    settings = configured()
    manifest = publish_training_set(prepared(settings, DEFINITION), settings, "c0ffee")
    names = {
        publish_histories(each, manifest, settings).sha256
        for each in (DEFINITION, deliveries(**changes))
    }
    assert len(names) == 2
