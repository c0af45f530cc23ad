"""Windows on their way from collecting to measuring: a parquet file each, and a small reference.

Staged files are made again whenever they are needed; nothing is lost with them.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Final, cast

import pandas as pd
import pyarrow as pa

from mlops.data.files.conversion import NO_ZONE
from mlops.datasets.taxi.trips import DROPOFF_AT, FARE, PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.evaluation.results import Result
from mlops.inference.trip import NEW_YORK
from mlops.monitoring.findings.records import Origin
from mlops.records.atomic import atomic_file
from mlops.records.parquet import read_table, write_table
from mlops.serving.log.rows import AT, MILES, MINUTES
from mlops.settings import Settings

LABELS: Final = (TARGET, DROPOFF_AT, FARE)
_LABEL_TYPES: Final = {TARGET: "float64", DROPOFF_AT: "datetime64[us]", FARE: "float64"}
_ANSWER: Final = (MILES, *MINUTES)
_NAME: Final = re.compile(r"v(\d+)-(served|source)-(\d{8}T\d{6})(\.\d{6})?")  # of `name_of`
_OLD_SECONDS: Final = 2 * 86_400
_STRAYS: Final = 0.005  # share of pickups, at either end, that may lie anywhere


class StagedWindow(Result):
    """A window that waits to be measured; plain JSON, so that it can pass between blocks.

    Attributes:
        name: Unique, and a file name.
        origin: See `WindowRecord`.
        version: Of the model.
        start: Inclusive, with time zone; as in `WindowRecord`.
        end: Exclusive.
        uri: Of the staged parquet file; see `read_staged`.
        rows: Answers in it.
        labelled: Of those, how many have a known actual duration.
        labels_from: See `WindowRecord`.
        pickups: See `WindowRecord`.
    """

    name: str
    origin: Origin
    version: int
    start: datetime
    end: datetime
    uri: str
    rows: int
    labelled: int
    labels_from: dict[str, str]
    pickups: tuple[datetime, datetime] | None = None


def name_of(version: int, origin: Origin, start: datetime) -> str:
    """Name a window: versions, origins and starts make it unique, and sort it by time."""
    text = f"{start:%Y%m%dT%H%M%S}"
    fraction = f".{start.microsecond:06d}" if start.microsecond else ""
    return f"v{version}-{origin}-{text}{fraction}"


def named_by(name: str) -> tuple[int, Origin, datetime] | None:
    """Return what a name made by `name_of` says; None if it is another one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    start = datetime.strptime(f"{match[3]}{match[4] or '.0'}", "%Y%m%dT%H%M%S.%f")
    return int(match[1]), cast(Origin, match[2]), start.replace(tzinfo=timezone.utc)


def stage(
    settings: Settings,
    version: int,
    origin: Origin,
    span: tuple[datetime, datetime],
    rows: pd.DataFrame,
    labels_from: dict[str, str],
) -> StagedWindow:
    """Write a window for `read_staged`.

    Args:
        settings: Say where.
        version: Of the model.
        origin: Of the window.
        span: Start and end, with time zone.
        rows: Request columns, predictions, and ``at`` and ``miles_used`` if it was served; labels
            where they are known.
        labels_from: Months with the hash of the file in which labels were looked for.
    """
    start, end = (moment.astimezone(timezone.utc) for moment in span)
    name = name_of(version, origin, start)
    path = settings.staging / "monitoring" / f"{name}.parquet"
    table = pa.Table.from_pandas(_typed(rows), preserve_index=False)
    with atomic_file(path) as temporary:
        write_table(table, temporary, compression="zstd")
    labelled = int(rows[TARGET].notna().sum()) if TARGET in rows else 0
    return StagedWindow(
        name=name,
        origin=origin,
        version=version,
        start=start,
        end=end,
        uri=str(path),
        rows=len(rows),
        labelled=labelled,
        labels_from=labels_from,
        pickups=_without_strays(rows[PICKUP_AT]),
    )


def read_staged(window: StagedWindow) -> pd.DataFrame:
    """Return the rows of a staged window, in order of arrival (of pickup, for ``source``).

    Returns:
        `REQUEST_COLUMNS` with their types; `MINUTES` (float64); for served windows ``at`` (UTC) and
        ``miles_used``; the labels `LABELS`, missing row by row, if any is known at all.

    Raises:
        DamagedFileError: If the file is gone or damaged.
    """
    way_out = "run the monitoring again, which stages what it needs: mlops monitor"
    frame: pd.DataFrame = read_table(window.uri, way_out).to_pandas()
    return frame


def forget_old(settings: Settings) -> None:
    """Remove staged windows that no run is going to read any more."""
    before = time.time() - _OLD_SECONDS
    for path in (settings.staging / "monitoring").glob("*.parquet"):
        with suppress(FileNotFoundError):  # another run was faster
            if path.stat().st_mtime < before:
                path.unlink()


def from_wall_clock(moment: datetime) -> datetime:
    """Return the instant of a naive New York time; what the clocks skip is when they skip it."""
    instant = moment.replace(tzinfo=NEW_YORK).astimezone(timezone.utc)
    if to_wall_clock(instant) != moment:
        # Python reads it as an hour later, beyond trips that are later: these would be passed over.
        hour = moment.replace(minute=0, second=0, microsecond=0)  # from two to three, since 1967
        return hour.replace(tzinfo=NEW_YORK).astimezone(timezone.utc)
    return instant


def to_wall_clock(moment: datetime) -> datetime:
    """Return an instant as naive New York time, as pickups are."""
    return moment.astimezone(NEW_YORK).replace(tzinfo=None)


def _without_strays(pickups: pd.Series[Any]) -> tuple[datetime, datetime] | None:
    """Return the first and the last pickup of those at most a day from where nearly all lie.

    A single request that claims the year 2031 must not make a window of five thousand trips one of
    seven years.
    """
    known = pickups.dropna()
    if known.empty:
        return None
    low, high = (pd.Timestamp(known.quantile(q, "nearest")) for q in (_STRAYS, 1 - _STRAYS))
    day = pd.Timedelta(days=1)
    usual = known[known.between(low - day, high + day)]
    return usual.min().to_pydatetime(), usual.max().to_pydatetime()


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Give every column its type, and leave out labels if there are none at all."""
    kinds = {**REQUEST_COLUMNS, **{name: "float64" for name in _ANSWER if name in rows}}
    if TARGET in rows and rows[TARGET].notna().any():
        kinds |= _LABEL_TYPES
    # A missing zone is no zone, as in files.
    zones = {name: rows[name].fillna(NO_ZONE) for name, kind in kinds.items() if kind == "int32"}
    columns = [*([AT] if AT in rows else []), *kinds]
    typed: Any = rows.assign(**zones).reindex(columns=columns)
    frame: pd.DataFrame = typed.astype(kinds)
    return frame
