"""Measures a staged window: everything `report_window` finds, and what needs more than the window.

That is skew (the training artifact is asked again), staleness, and how the online server did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mlops import extensions
from mlops.datasets.answers import ANSWER
from mlops.datasets.opening import dataset_of
from mlops.datasets.watching import Watching
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.serving_health import measure_serving
from mlops.monitoring.measures.stability import measure_skew, measure_staleness
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.monitoring.windows.staging import Answered, StagedWindow, read_staged
from mlops.registry.profiles import load_profile
from mlops.registry.versions import Registry
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel

_SKEW_ROWS: Final = 2_000
_MOST: Final = 0.9  # of a window's events lie before its end, whatever a few strays do


@dataclass(frozen=True)
class Detector:
    """What a project measures of each window besides, in a file of ``extensions/detectors/``.

    Attributes:
        measure: A window and the profile of its version to measurements, each with a limit of its
            own and of a kind whose limits are not learned, such as ``stability``.
    """

    measure: Callable[[RowWindow, ReferenceProfile], Iterable[Measurement]]


def measure(settings: Settings, staged: StagedWindow, now: datetime) -> WindowRecord:
    """Measure a window against its version's profile; store the result with `write_window`.

    The version's model and profile are read once per process.

    Args:
        settings: The configuration.
        staged: As from `collect`.
        now: With time zone: when it is measured.

    Raises:
        RegistryError: If the version's model or profile is not there.
        MlopsError: If the staged file is gone; collect again.
    """
    known = _known(_Key.of(settings, staged.version))
    answered = read_staged(staged)
    watching = dataset_of(settings).watching(settings)
    answers, encoder = answered.answers[list(ANSWER)], known.model.encoder
    window = RowWindow.of(answered.rows, answers, watching, encoder, answered.at)
    more = [
        *_skew(answered, watching, known.model),
        *_staleness(window, known.profile),
        *measure_serving(settings, staged),
    ]
    for detector in extensions.added("detectors", Detector):
        more += detector.measure(window, known.profile)
    report = report_window(window, known.profile, settings.monitoring, name=staged.name, more=more)
    return WindowRecord(
        window=staged.name,
        origin=staged.origin,
        version=staged.version,
        start=staged.start,
        end=staged.end,
        trips=staged.rows,
        labelled=staged.labelled,
        report=report.model_copy(update={"created_at": now}),
        labels_from=staged.labels_from,
        model_id=known.model_id,
        pickups=staged.pickups,
    )


@dataclass(frozen=True)
class _Key:
    """Names a version among all registries."""

    registry: str
    model: str
    version: int
    settings: Settings = field(compare=False)

    @classmethod
    def of(cls, settings: Settings, version: int) -> _Key:
        return cls(settings.tracking_uri, settings.tracking.model_name, version, settings)


@dataclass(frozen=True, eq=False)
class _Known:
    """What there is of a version, never changing."""

    model: TabularModel
    profile: ReferenceProfile
    model_id: str


@lru_cache(maxsize=2)
def _known(key: _Key) -> _Known:
    model, info = Registry(key.settings).load(key.version)
    return _Known(model, load_profile(key.settings, key.version), info.model_id)


def _skew(answered: Answered, watching: Watching, model: TabularModel) -> Iterator[Measurement]:
    """Compare what was answered with what the training artifact says of the same requests."""
    if answered.at is None:
        return
    asked = answered.rows.index[answered.rows[watching.event].notna()]
    places = np.linspace(0, len(asked) - 1, min(_SKEW_ROWS, len(asked))).astype(int)
    sample = asked[np.unique(places)]
    requests = answered.rows.loc[sample, list(watching.asked)]
    computed = [
        model.predict(requests)[list(ANSWER)],
        watching.computed(requests, model.encoder),
    ]
    again = pd.concat(computed, axis=1)
    yield from measure_skew(answered.answers.loc[sample, list(again)], again)


def _staleness(window: RowWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Measure how old the model's knowledge was to the rows it was asked about."""
    events = window.events.dropna()
    if len(events):
        latest = pd.Timestamp(events.quantile(_MOST))
        yield from measure_staleness(profile.tested_from, latest.to_pydatetime())
