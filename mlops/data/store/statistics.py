"""The data product `route_statistics`: what the past tells at the boundaries of the windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, TypeVar

from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.data.store.snapshots import publish_folder
from mlops.errors import MlopsError
from mlops.settings import Settings

PRODUCT: Final = "route_statistics"
MORNINGS: Final = ("at_validation", "at_test", "latest")

Frozen = TypeVar("Frozen")


def publish_statistics(
    training_set: TrainingSetManifest,
    sha256: str,
    freeze: Callable[[], Mapping[str, Frozen]],
    save: Callable[[Frozen, Path], None],
    load: Callable[[Path], Frozen],
    settings: Settings,
) -> RouteStatisticsManifest:
    """Publish what the past tells, unless it is published and whole.

    Args:
        training_set: That it is computed from.
        sha256: Hash of all that determines it.
        freeze: Computes it for each of `MORNINGS`.
        save: Writes it into a file.
        load: Reads it, and raises an `MlopsError` if the file is damaged.
        settings: The store.
    """

    def write(folder: Path) -> None:
        for name, frozen in freeze().items():
            save(frozen, _file(folder, name))

    def intact(folder: Path) -> bool:
        try:
            for name in MORNINGS:
                load(_file(folder, name))
        except MlopsError:
            return False
        return True

    folder = publish_folder(PRODUCT, sha256, write, settings, intact)
    return RouteStatisticsManifest(
        sha256=sha256,
        uri=str(folder),
        training_set=training_set.sha256,
        created_at=datetime.now(timezone.utc),
        **{name: str(_file(folder, name)) for name in MORNINGS},
    )


def mornings_of(training_set: TrainingSetManifest, latest: datetime) -> dict[str, datetime]:
    """Return the days whose mornings are frozen: of validation, of test, and ``latest``."""
    starts = training_set.validation.begins, training_set.test.begins
    return dict(zip(MORNINGS, (*starts, latest), strict=True))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npz"
