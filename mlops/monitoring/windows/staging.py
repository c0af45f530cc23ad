"""Windows on their way from collecting to measuring: a parquet file each, and a small reference.

Staged files are made again whenever they are needed; nothing is lost with them.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple, cast

import pandas as pd
import pyarrow as pa

from mlops.data.files.conversion import NO_ZONE
from mlops.datasets.watching import Watching
from mlops.evaluation.results import Result
from mlops.monitoring.findings.records import Origin
from mlops.records.atomic import atomic_file
from mlops.records.parquet import read_table, write_table
from mlops.settings import Settings

# A dataset may call its columns as it likes: in a staged file, these tell whose a column is.
_OF_ROWS: Final = "row "
_OF_ANSWERS: Final = "answer "
_AT: Final = "at"
_NAME: Final = re.compile(r"v(\d+)-(served|source)-(\d{8}T\d{6})(\.\d{6})?")  # of `name_of`
_OLD_SECONDS: Final = 2 * 86_400
_STRAYS: Final = 0.005  # share of events, at either end, that may lie anywhere


class Answered(NamedTuple):
    """Rows with the answers that were given to them, in the same order.

    Attributes:
        rows: What was asked, and labels where they are known.
        answers: `mlops.datasets.answers.ANSWER`, and numbers that the server computed on its way.
        at: When each row was answered, UTC; None if no server answered it.
    """

    rows: pd.DataFrame
    answers: pd.DataFrame
    at: pd.Series[Any] | None


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
        labelled: Of those, how many have a label.
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
    answered: Answered,
    watching: Watching,
    labels_from: dict[str, str],
) -> StagedWindow:
    """Write a window for `read_staged`.

    Args:
        settings: Say where.
        version: Of the model.
        origin: Of the window.
        span: Start and end, with time zone.
        answered: Its rows.
        watching: Of the dataset.
        labels_from: Months with the hash of the file in which labels were looked for.
    """
    start, end = (moment.astimezone(timezone.utc) for moment in span)
    name = name_of(version, origin, start)
    path = settings.staging / "monitoring" / f"{name}.parquet"
    rows, answers, at = answered
    columns = pd.concat(
        [
            _typed(rows, watching).add_prefix(_OF_ROWS).reset_index(drop=True),
            answers.astype("float64").add_prefix(_OF_ANSWERS).reset_index(drop=True),
        ],
        axis=1,
    )
    if at is not None:
        columns = columns.assign(**{_AT: at.to_numpy()})
    table = pa.Table.from_pandas(columns, preserve_index=False)
    with atomic_file(path) as temporary:
        write_table(table, temporary, compression="zstd")
    target = watching.target
    return StagedWindow(
        name=name,
        origin=origin,
        version=version,
        start=start,
        end=end,
        uri=str(path),
        rows=len(rows),
        labelled=int(rows[target].notna().sum()) if target in rows else 0,
        labels_from=labels_from,
        pickups=_without_strays(rows[watching.event]),
    )


def read_staged(window: StagedWindow) -> Answered:
    """Return a staged window, in order of arrival (of events, for ``source``).

    Returns:
        Rows with the types of `Watching.asked`, and of `Watching.labels` if any label is known at
        all; answers (float64).

    Raises:
        DamagedFileError: If the file is gone or damaged.
    """
    way_out = "run the monitoring again, which stages what it needs: mlops monitor"
    frame: pd.DataFrame = read_table(window.uri, way_out).to_pandas()
    rows, answers = _whose(frame, _OF_ROWS), _whose(frame, _OF_ANSWERS)
    return Answered(rows, answers, frame.get(_AT))


def forget_old(settings: Settings) -> None:
    """Remove staged windows that no run is going to read any more."""
    before = time.time() - _OLD_SECONDS
    for path in (settings.staging / "monitoring").glob("*.parquet"):
        with suppress(FileNotFoundError):  # another run was faster
            if path.stat().st_mtime < before:
                path.unlink()


def _whose(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    names = {name: str(name).removeprefix(prefix) for name in frame}
    return frame[[n for n in names if n != names[n]]].rename(columns=names)


def _without_strays(events: pd.Series[Any]) -> tuple[datetime, datetime] | None:
    """Return the first and the last event of those at most a day from where nearly all lie.

    A single request that claims the year 2031 must not make a window of five thousand rows one of
    seven years.
    """
    known = events.dropna()
    if known.empty:
        return None
    low, high = (pd.Timestamp(known.quantile(q, "nearest")) for q in (_STRAYS, 1 - _STRAYS))
    day = pd.Timedelta(days=1)
    usual = known[known.between(low - day, high + day)]
    return usual.min().to_pydatetime(), usual.max().to_pydatetime()


def _typed(rows: pd.DataFrame, watching: Watching) -> pd.DataFrame:
    """Give every column its type, and leave out labels if there are none at all."""
    kinds = dict(watching.asked)
    if watching.target in rows and rows[watching.target].notna().any():
        kinds |= watching.labels
    # A missing code is no code, as in files.
    codes = {name: rows[name].fillna(NO_ZONE) for name, kind in kinds.items() if kind == "int32"}
    typed: Any = rows.assign(**codes).reindex(columns=list(kinds))
    frame: pd.DataFrame = typed.astype(kinds)
    return frame
