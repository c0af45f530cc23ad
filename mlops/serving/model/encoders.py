"""What a compiled model needs of an encoder, whichever dataset it is of; and where one is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlops.datasets.dataset import Columns, Encoder, FeatureLayout, Matrix
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.serving.model.served_trips import ServedTrips

if TYPE_CHECKING:
    import pandas as pd

TABLE_FILE: Final = "encoder.json"


class ServedEncoder(Protocol):
    """From requests to features inside the server; on disk it is data that can run no code."""

    @property
    def layout(self) -> FeatureLayout:
        """What the features are."""

    @property
    def as_of(self) -> datetime | None:
        """The day on whose morning its knowledge of the past ends; None if it has none."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """The columns of a request with their NumPy types."""

    @property
    def encode_one(self) -> Callable[..., Matrix]:
        """Encodes one request to the bit as `encode`, shape ``(features,)``.

        Its arguments are those of `CompiledModel.predict_one`.
        """

    def encode(self, frame: Columns) -> Matrix:
        """Encode requests, as a frame or as arrays by name, ``(n, features)``."""

    def one_by_one(self, columns: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of `encode_one` for each of the requests in arrays."""

    def golden_requests(self) -> pd.DataFrame:
        """Make the requests that prove a bundle: always the same for the same encoder."""

    def save(self, folder: Path) -> None:
        """Write the encoder into a folder."""


def served(encoder: Encoder) -> ServedEncoder:
    """Return the form of a trained model's encoder that the server runs."""
    if isinstance(encoder, FeatureEncoder):
        return ServedTrips(encoder)
    from mlops.datasets.declared.encoding import TableEncoder
    from mlops.serving.model.served_table import ServedTable

    if isinstance(encoder, TableEncoder):
        return ServedTable(encoder)
    raise TypeError(f"{type(encoder).__name__}: an encoder that cannot be served")


def load_encoder(folder: Path, files: Iterable[str]) -> ServedEncoder:
    """Read an encoder written by `ServedEncoder.save`.

    Args:
        folder: Where it was written.
        files: That lie there.

    Raises:
        MlopsError: If a file is damaged.
    """
    if TABLE_FILE not in files:
        return ServedTrips.load(folder)
    from mlops.serving.model.served_table import ServedTable

    return ServedTable.load(folder)
