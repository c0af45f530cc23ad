"""What a compiled model looks like on disk: a folder that anyone may load without trusting it.

Arrays, a model of XGBoost and JSON, each with its hash, no pickle; and golden requests with the
answers of the model it was compiled from, so that a load proves that this code on this machine
still gives them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from mlops.data.references import Reference
from mlops.errors import MlopsError
from mlops.records.atomic import atomic_folder

FORMAT: Final = "mlops.compiled_model/1"
# How far an answer may be from that of the model it was compiled from: in the target's unit, and in
# shares of the largest answer, since kernels compute in float32, which holds seven digits.
PARITY: Final = 1e-4
_PARITY_SHARE: Final = 1e-6
_HEAD_FILE: Final = "bundle.json"
FOREIGN: Final = "it was compiled by another version of the project"


class StoredMargins(Reference):
    """What is added to the margin of quantiles by the value of one feature.

    Attributes:
        column: Of the features.
        edges: Ascending; an infinite one follows them, beyond which missing values lie.
        margins: One per interval between edges, two more than edges.
    """

    column: int
    edges: tuple[float, ...]
    margins: tuple[float, ...]


class Bounds(Reference):
    """How the interval around a prediction comes about.

    Attributes:
        kind: ``residuals``: errors by the size of the prediction; ``quantiles``: two more outputs
            of the kernel; ``none``: bounds are unknown (NaN).
        edges: Of the bins of predictions.
        below: Lower bound - prediction, per bin.
        above: Upper bound - prediction, per bin.
        margin: By how much quantiles are widened on both sides, and
        tables: how much more by the values of features.
    """

    kind: Literal["none", "residuals", "quantiles"] = "none"
    edges: tuple[float, ...] = ()
    below: tuple[float, ...] = ()
    above: tuple[float, ...] = ()
    margin: float = 0.0
    tables: tuple[StoredMargins, ...] = ()


class Golden(Reference):
    """Requests, and what the model answered before it was compiled."""

    requests: dict[str, tuple[Any, ...]]
    answers: tuple[tuple[float | None, float | None, float | None], ...]  # None: not known

    def columns(self, types: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
        """Return the requests as arrays of the given NumPy types."""
        return {
            name: np.array(values, dtype=types[name])  # None becomes NaN
            for name, values in self.requests.items()
        }


class Head(Reference):
    """What a bundle says of itself."""

    format: str = FORMAT
    version: int
    family: str
    as_of: datetime | None  # outcomes before this day are known; None: the model has no past
    shortest: float  # no prediction is below
    longest: float
    bounds: Bounds
    features: tuple[str, ...]
    info: dict[str, str]
    golden: Golden
    files: dict[str, str] = Field(default_factory=dict)  # name → SHA-256

    @property
    def tolerance(self) -> float:
        """How far an answer may be from that of the model it was compiled from."""
        return tolerance(self.shortest, self.longest)


def tolerance(shortest: float, longest: float) -> float:
    """Return how far compiled answers between two limits may be from those of the model."""
    return max(PARITY, _PARITY_SHARE * max(abs(shortest), abs(longest)))


def learned_from_synthetic(head: Head) -> bool:
    """Tell whether a bundle's model is known to have learned from generated rows."""
    try:
        return bool(json.loads(head.info.get("receipt", "{}")).get("synthetic"))
    except (ValueError, AttributeError):
        return False


def write_bundle(folder: Path, head: Head, write: Callable[[Path], None]) -> None:
    """Write a bundle, whole or not at all; one that is there is replaced.

    Args:
        folder: Where to.
        head: Without hashes.
        write: Writes the other files into the folder that it is given.
    """

    def write_all(temporary: Path) -> None:
        write(temporary)
        files = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        content = head.model_copy(update={"files": files}).model_dump_json(indent=1)
        (temporary / _HEAD_FILE).write_text(content, encoding="utf-8")

    atomic_folder(folder, write_all)


def read_head(folder: Path) -> Head:
    """Return what a bundle says of itself, after proving that its files are those written.

    Raises:
        MlopsError: If one is missing or damaged, or the bundle is of another format.
    """
    try:
        head = Head.model_validate_json((folder / _HEAD_FILE).read_bytes())
    except OSError as error:
        raise unusable(folder, f"{_HEAD_FILE} cannot be read: {error}") from error
    except ValidationError as error:
        raise unusable(folder, f"{_HEAD_FILE} is damaged: {error}") from error
    if head.format != FORMAT:
        raise unusable(folder, FOREIGN)
    for name, digest in head.files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise unusable(folder, f"{name} is missing or damaged")
    return head


def unusable(folder: Path, why: str) -> MlopsError:
    """Return the error of a bundle that must not answer anybody."""
    return MlopsError(
        f"{folder}: this bundle cannot be served: {why}",
        f"remove {folder}: a running server compiles it again",
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
