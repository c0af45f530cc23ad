"""What the artifact of a version answers to the golden requests, to hold the endpoint to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops.datasets.opening import dataset_of
from mlops.registry.versions import Registry
from mlops.serving.model.bundle import tolerance
from mlops.settings import Settings

_ROUNDING: Final = 10  # compiled answers within the tolerance are rounded when they are written


@dataclass(frozen=True)
class GoldenAnswers:
    """Golden requests and what must be answered.

    Attributes:
        bodies: Of the requests.
        predictions: Of the artifact, one per body, in the unit of the target.
        tolerance: How far an answer may be from them, in the same unit.
        unit: In short; empty if the target has none.
    """

    bodies: Sequence[Mapping[str, Any]]
    predictions: Sequence[float]
    tolerance: float
    unit: str = ""


def golden_answers(settings: Settings, registry: Registry, version: int) -> GoldenAnswers:
    """Ask the artifact of a version the golden requests of its dataset.

    Raises:
        RegistryError: If the version cannot be loaded.
    """
    model, _ = registry.load(version)
    dataset = dataset_of(settings)
    golden = dataset.golden_requests(model.encoder)
    return GoldenAnswers(
        golden.bodies,
        model.predict_point(golden.rows).tolist(),
        _ROUNDING * tolerance(model.shortest, model.longest),
        dataset.unit,
    )
