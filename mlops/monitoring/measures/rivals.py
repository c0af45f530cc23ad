"""Whether the version before the champion would have predicted the same rows better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlops.datasets.answers import ANSWER, PREDICTION
from mlops.datasets.opening import dataset_of
from mlops.datasets.watching import Watching
from mlops.evaluation.bootstrap import relative_gain
from mlops.monitoring.measures.performance import judgeable
from mlops.monitoring.windows.features import RowWindow
from mlops.monitoring.windows.staging import Answered, StagedWindow, read_staged
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel


def labelled_rows(
    staged: Iterable[StagedWindow], version: int, watching: Watching
) -> Answered | None:
    """Return the rows of staged windows of a version whose labels are known, by event.

    Returns:
        None if there are none.
    """
    mine = [read_staged(window) for window in staged if _is_labelled(window, version)]
    if not mine:
        return None
    rows = pd.concat([each.rows for each in mine], ignore_index=True)
    answers = pd.concat([each.answers for each in mine], ignore_index=True)
    known = rows[rows[watching.target].notna()].sort_values(watching.event)
    answers = answers.loc[known.index].reset_index(drop=True)
    return Answered(known.reset_index(drop=True), answers, None)


def gain_of(rival: TabularModel, answered: Answered, settings: Settings) -> float | None:
    """Return the lower end of the interval of a rival's relative RMSE gain over what was answered.

    Args:
        rival: The other model.
        answered: As from `labelled_rows`.
        settings: Confidence and resamples, as the gate's; how many rows say something.

    Returns:
        E.g. 0.03: certainly three percent better; None if too few of the rows can be judged.
    """
    watching = dataset_of(settings).watching(settings)
    answers = answered.answers[list(ANSWER)]
    judged = judgeable(RowWindow.of(answered.rows, answers, watching, rival.encoder))
    if judged.predictions is None or len(judged) < settings.monitoring.min_window_trips:
        return None
    actual = judged.frame[watching.target].to_numpy(np.float64)
    before = judged.predictions[PREDICTION].to_numpy(np.float64)
    other = rival.predict(judged.frame[list(watching.asked)])[PREDICTION].to_numpy(np.float64)
    gate = settings.gate
    gain = relative_gain(other - actual, before - actual, gate.confidence, gate.bootstrap_samples)
    return gain.lower


def _is_labelled(window: StagedWindow, version: int) -> bool:
    return window.version == version and window.labelled > 0
