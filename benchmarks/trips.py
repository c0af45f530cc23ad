"""The trips that are measured: two real months, and any number of shifted copies of the first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import REPOSITORY
from mlops.data.months import month_bounds, next_month
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TLC_COLUMNS

TAXI = "green"
MONTHS = ("2024-01", "2024-02")
COPIES = (1, 4, 16, 64)
# As many as a real green month has, so that the sample's numbers are of the same kind.
SAMPLE_ROWS = 56_000
SAMPLE_SEED = 7


@dataclass(frozen=True)
class Bench:
    """What every part is given."""

    folder: Path  # holds green_tripdata_<month>.parquet of `MONTHS`
    label: str  # what the trips are
    scratch: Path  # for homes and copies; removed at the end

    @property
    def source(self) -> dict[str, str]:
        """Run-time variables that select both months."""
        return source_variables(self.folder, MONTHS[0], MONTHS[-1])


def source_variables(folder: Path, first: str, last: str) -> dict[str, str]:
    """Return the run-time variables that select months of a folder."""
    return {
        "source.kind": "path",
        "source.location": str(folder),
        "source.months": f"{first}..{last}",
    }


def find_months(scratch: Path) -> tuple[Path, str]:
    """Return the folder with both months and what they are: real, else generated."""
    base = Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    for folder in (base / TAXI, base):
        if all((folder / file_name(month)).exists() for month in MONTHS):
            return folder.resolve(), f"real {TAXI} trips"
    folder = scratch / "sample"
    folder.mkdir(parents=True)
    for month in MONTHS:
        pq.write_table(generate_month(month, SAMPLE_ROWS, SAMPLE_SEED), folder / file_name(month))
    return (
        folder,
        "synthetic trips: the real months are not here",
    )


def file_name(month: str) -> str:
    """Return the TLC's name of a month's file."""
    return f"{TAXI}_tripdata_{month}.parquet"


def copy_months(bench: Bench, copies: int) -> tuple[str, ...]:
    """Write ``copies`` consecutive months, each the first month shifted; those there stay.

    Returns:
        The months, from the first on; their files lie in `copies_folder`.
    """
    folder = copies_folder(bench)
    folder.mkdir(parents=True, exist_ok=True)
    months = [MONTHS[0]]
    while len(months) < copies:
        months.append(next_month(months[-1]))
    missing = [month for month in months if not (folder / file_name(month)).exists()]
    if missing:
        trips = pq.read_table(bench.folder / file_name(MONTHS[0]))
        for month in missing:
            pq.write_table(
                shift_month(trips, MONTHS[0], month), folder / file_name(month), compression="zstd"
            )
    return tuple(months)


def copies_folder(bench: Bench) -> Path:
    """Return where the shifted copies lie."""
    return bench.scratch / "copies"


def shift_month(trips: Any, month: str, to: str) -> Any:
    """Move a month of trips to another month.

    A trip keeps its day and time of day; one on a day that the other month lacks begins again at
    the first (the 31st becomes the 3rd of a month of 28 days). Trips dated outside their month stay
    as far from its beginning as they were, because validation has to find them. Durations, and all
    other columns, stay.

    Args:
        trips: Arrow table with the TLC's columns.
        month: The month of the table, ``YYYY-MM``.
        to: The month to move to.
    """
    names = {ours: tlc for tlc, ours in TLC_COLUMNS[TAXI].items()}
    (start, end), (to_start, to_end) = map(_bounds, (month, to))
    pickup, dropoff = (_times(trips, names[column]) for column in (PICKUP_AT, DROPOFF_AT))
    offset = pickup - start
    inside = (pickup >= start) & (pickup < end)
    moved = to_start + np.where(inside, offset % (to_end - to_start), offset)
    for name, times in ((names[PICKUP_AT], moved), (names[DROPOFF_AT], dropoff + (moved - pickup))):
        trips = trips.set_column(trips.schema.get_field_index(name), name, pa.array(times))
    return trips


def _bounds(month: str) -> tuple[Any, Any]:
    start, end = month_bounds(month)
    return np.datetime64(start, "us"), np.datetime64(end, "us")


def _times(trips: Any, name: str) -> Any:
    return trips.column(name).cast(pa.timestamp("us")).to_numpy()
