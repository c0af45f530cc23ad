"""Whether the version before the champion would have predicted the same trips better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlops.datasets.taxi.features.encoding import routes_of
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.evaluation.bootstrap import relative_gain
from mlops.monitoring.measures.performance import judgeable
from mlops.monitoring.reference.observations import PREDICTION
from mlops.monitoring.windows.features import TripWindow
from mlops.monitoring.windows.staging import StagedWindow, read_staged
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel


def ended_trips(staged: Iterable[StagedWindow], version: int) -> pd.DataFrame:
    """Return the trips of staged windows of a version whose duration is known, by pickup.

    Returns:
        As from `read_staged`; empty if there are none.
    """
    mine = (window for window in staged if window.version == version and window.labelled)
    frames = [frame[frame[TARGET].notna()] for frame in map(read_staged, mine)]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).sort_values(PICKUP_AT, ignore_index=True)


def gain_of(rival: TabularModel, trips: pd.DataFrame, settings: Settings) -> float | None:
    """Return the lower end of the interval of a rival's relative RMSE gain over what was answered.

    Args:
        rival: The other model.
        trips: As from `ended_trips`.
        settings: Confidence and resamples, as the gate's; how many trips say something.

    Returns:
        E.g. 0.03: certainly three percent better; None if too few of the trips can be judged.
    """
    if trips.empty:
        return None
    routes = routes_of(rival.encoder)
    judged = judgeable(TripWindow.of(trips, trips, routes, settings.validation)).trips
    if len(judged) < settings.monitoring.min_window_trips:
        return None
    actual = judged[TARGET].to_numpy(np.float64)
    answered = judged[PREDICTION].to_numpy(np.float64)
    other = rival.predict(judged[list(REQUEST_COLUMNS)])[PREDICTION].to_numpy(np.float64)
    gate = settings.gate
    gain = relative_gain(other - actual, answered - actual, gate.confidence, gate.bootstrap_samples)
    return gain.lower
