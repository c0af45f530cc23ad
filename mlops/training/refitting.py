"""The fits behind a registered version: the same for those that make it and those that check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from mlops.data.references import TrainingSetManifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.dataset import Dataset, Encoder
from mlops.training.artifact import TabularModel
from mlops.training.families import QUANTILES_FAMILY


def refit(
    manifest: TrainingSetManifest,
    dataset: Dataset,
    encoder_of: Callable[[pd.DataFrame], Encoder],
    family: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> TabularModel:
    """Fit on train and validation: the model that will serve.

    A model of quantiles comes with its interval, which the winner takes over; others have none yet.

    Args:
        manifest: The training set.
        dataset: That it belongs to.
        encoder_of: Makes the encoder for models that learn from rows, with what is known of the
            past when the test window begins.
        family: Of the model.
        params: What the search found.
        seed: Of everything random.
        threads: For fitting.
    """
    rows = read_window(manifest, "train", "validation")
    encoder = encoder_of(rows)
    model = TabularModel.fit(
        family, params, rows, encoder, dataset.target, seed=seed, threads=threads
    )
    if family == QUANTILES_FAMILY:
        return model.with_own_quantiles(rows, dataset.event, seed=seed, threads=threads)
    return model
