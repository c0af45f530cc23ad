"""Files of taxi trips to predict; see `mlops.datasets.scoring.RequestFiles`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import pandas as pd
import pyarrow as pa

from mlops.data.origins import TripOrigin, is_synthetic
from mlops.data.references import Extraction, SourceFile
from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.contract.validation import split_requests
from mlops.datasets.taxi.files.reading import (
    check_trip_file,
    id_type,
    iter_requests,
    iter_trips,
    pickups_have_zone,
)
from mlops.datasets.taxi.files.stamps import contradiction
from mlops.datasets.taxi.sources import extract
from mlops.datasets.taxi.trips import PICKUP_AT, TRIP_ID
from mlops.settings import Settings

_SAMPLE_ROWS: Final = 100_000  # whose hours are looked at
_DAY: Final = 24 * 60.0  # minutes


@dataclass(frozen=True)
class TripRequestFiles:
    """Files of trips of the taxi that `settings.source` names."""

    settings: Settings
    outputs: ClassVar[tuple[str, ...]] = ANSWER
    span: ClassVar[tuple[float, float]] = (0.0, _DAY)
    rules: ClassVar[str] = "datasets/taxi/contract/rules.py"

    @property
    def folder(self) -> Path:
        """A folder for each taxi."""
        return self.settings.predictions / self.identity

    @property
    def identity(self) -> str:
        """The taxi: which names to expect in the files."""
        return self.settings.source.taxi

    def origin(self, files: Sequence[Path]) -> TripOrigin:
        """Return the taxi, and whether a file carries the mark of generated trips."""
        return TripOrigin(self.identity, any(is_synthetic(file) for file in files))

    def extract(self, month: str) -> Extraction:
        """Fetch or generate the trips of a month, by default the last of those configured."""
        source = self.settings.source
        wanted = {"months": month or source.month_list[-1]}
        source = source.model_copy(update=wanted)
        return extract(self.settings.model_copy(update={"source": source}))

    def count(self, file: Path) -> int:
        """Count the trips of a file with the columns of a request."""
        return check_trip_file(file, self.identity, labels=False)

    def identifiers(self, files: Sequence[SourceFile]) -> Any:
        """Return the type of ``trip_id``: that of the files if they agree, else text."""
        types = {id_type(file.uri) for file in files}
        return pa.schema([(TRIP_ID, types.pop() if len(types) == 1 else pa.string())])

    def chunks(self, file: SourceFile, identifiers: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
        """Read a file, with its ``trip_id``, else the number of each row from zero."""
        chunk_rows, clock = self.settings.inference.chunk_rows, self.settings.validation.clock
        for ids, trips in iter_requests(file.uri, self.identity, chunk_rows, clock):
            yield pa.table([ids.cast(identifiers.field(0).type)], schema=identifiers), trips

    def split(self, requests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Hold trips to the data contract."""
        return split_requests(requests, self.settings)

    def remark(self, files: Sequence[SourceFile]) -> str:
        """Name files without trips, and one whose times may be read in the wrong zone."""
        empty = [f"{file.name} has no trips" for file in files if not file.rows]
        return "\n".join(filter(None, [*empty, self._remark_on_times(files)]))

    def _remark_on_times(self, files: Sequence[SourceFile]) -> str:
        """Return what contradicts the clock that the times of a file are read by."""
        if self.settings.validation.clock != "auto":
            return ""
        taxi = self.identity
        for file in files:
            trips = iter_trips(file.uri, taxi, _SAMPLE_ROWS, [PICKUP_AT], labels=False)
            first = next(trips, None)
            if first is not None:
                zoned = pickups_have_zone(file.uri, taxi)
                if problem := contradiction(first[PICKUP_AT], zoned, file.month):
                    return (
                        f"{file.name}: {problem}; to say which they are, set validation.clock to "
                        "new_york or utc (for mlops predict: MLOPS_VALIDATION__CLOCK)"
                    )
        return ""
