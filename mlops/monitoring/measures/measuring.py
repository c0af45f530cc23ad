"""Measures a staged window: everything `report_window` finds, and what needs more than the window.

That is skew (the training artifact is asked again), staleness, and how the online server did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.taxi.features.encoding import routes_of
from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, REQUEST_COLUMNS
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.serving_health import measure_serving
from mlops.monitoring.measures.stability import measure_skew, measure_staleness
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import TripWindow
from mlops.monitoring.windows.staging import LABELS, StagedWindow, read_staged
from mlops.registry.profiles import load_profile
from mlops.registry.versions import Registry
from mlops.serving.log.rows import AT, MILES, MINUTES
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel

_SKEW_ROWS: Final = 2_000
_MOST: Final = 0.9  # of a window's pickups lie before its end, whatever a few strays do


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
    rows = read_staged(staged)
    window = TripWindow.of(
        rows[[name for name in (*REQUEST_COLUMNS, *LABELS) if name in rows]],
        rows[list(MINUTES)],
        routes_of(known.model.encoder),
        settings.validation,
        arrived_at=rows.get(AT),
    )
    more = [
        *_skew(rows, known.model),
        *_staleness(rows, known.profile),
        *measure_serving(settings, staged),
    ]
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


def _skew(rows: pd.DataFrame, model: TabularModel) -> Iterator[Measurement]:
    """Compare what was answered with what the training artifact says of the same requests."""
    if MILES not in rows:
        return
    asked = rows[rows[PICKUP_AT].notna()]
    places = np.linspace(0, len(asked) - 1, min(_SKEW_ROWS, len(asked))).astype(int)
    sample = asked.iloc[np.unique(places)]
    requests = sample[list(REQUEST_COLUMNS)]
    computed: Any = model.predict(requests)[list(MINUTES)]
    given = requests[DISTANCE]
    usual = routes_of(model.encoder).lookup(requests)["route_miles"]
    plausible = (given > MIN_MILES) & (given <= MAX_MILES)
    computed = computed.assign(**{MILES: given.where(plausible, usual)})
    yield from measure_skew(sample[[*MINUTES, MILES]], computed)


def _staleness(rows: pd.DataFrame, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Measure how old the model's knowledge was to the trips it was asked about."""
    pickups = rows[PICKUP_AT].dropna()
    if len(pickups):
        latest = pd.Timestamp(pickups.quantile(_MOST))
        yield from measure_staleness(profile.tested_from, latest.to_pydatetime())
