"""Batch scoring: files of trips to a folder of predictions, in chunks, once per input and model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from pydantic import Field

from mlops import fingerprints, progress
from mlops.cores import usable_cores
from mlops.counting import counted
from mlops.data.files.described import as_it_lies_there, require_unchanged
from mlops.data.files.folders import files_of
from mlops.data.references import Reference, SourceFile
from mlops.datasets.taxi.contract.validation import split_requests
from mlops.datasets.taxi.files.reading import (
    check_trip_file,
    id_type,
    iter_requests,
    iter_trips,
    pickups_have_zone,
)
from mlops.datasets.taxi.files.stamps import contradiction
from mlops.datasets.taxi.trips import PICKUP_AT, TRIP_ID
from mlops.errors import MlopsError
from mlops.inference.overlap import Model, predicted_chunks, predicted_minutes
from mlops.inference.requests import parse_requests
from mlops.inference.writing import OUTPUTS, PREDICTIONS, REJECTED, Distribution, PredictionWriter
from mlops.records.atomic import atomic_folder
from mlops.records.digests import find_changed, sha256_of
from mlops.records.files import find_or_report, write_record
from mlops.settings import Settings, load_settings

_SUMMARY: Final = "summary.json"
_SAMPLE_ROWS: Final = 100_000  # whose hours are looked at
# What turns files and a model into predictions.
_CODE: Final = ("data", "datasets", "inference", "training", "serving")


class PredictionSummary(Reference):
    """What one batch of predictions holds and where."""

    uri: str  # folder
    predictions_uri: str
    rejected_uri: str | None
    taxi: str
    files: tuple[str, ...]
    data_hash: str  # of the files and of the rules they were held to
    model_version: str
    synthetic_model: bool = False  # it learned from generated trips
    run_id: str
    predicted_at: datetime
    rows: int  # predicted
    rejected: int
    rejected_by_reason: dict[str, int]
    minutes: Distribution | None  # None without a single good row
    seconds: float
    rows_per_second: float
    remark: str = ""  # what is odd about the files
    written: dict[str, str] = Field(default_factory=dict)  # file → SHA-256

    @property
    def summary(self) -> str:
        """The batch in a few lines."""
        mark = " (learned from synthetic trips)" if self.synthetic_model else ""
        what = counted(self.rows, "prediction")
        lines = [f"{what} by version {self.model_version}{mark} in {self.uri}"]
        if self.minutes:
            d = self.minutes
            lines.append(
                f"minutes: mean {d.mean:.1f}, 10 % below {d.p10:.1f}, half below {d.p50:.1f},"
                f" 90 % below {d.p90:.1f}"
            )
        if self.rejected:
            reasons = ", ".join(f"{name} {n:,}" for name, n in self.rejected_by_reason.items())
            lines.append(
                f"{counted(self.rejected, 'row')} quarantined ({reasons}) in {self.rejected_uri}"
            )
        return "\n".join([*lines, *([self.remark] if self.remark else [])])


def score(
    model: Model,
    files: Sequence[SourceFile | str | Path],
    taxi: str,
    settings: Settings,
    *,
    model_version: str | int,
    model_id: str,
    run_id: str,
    synthetic_model: bool = False,
) -> PredictionSummary:
    """Predict every trip of the files that can be predicted, and set the others aside.

    Memory holds a few chunks of `settings.inference.chunk_rows`: while one is predicted, the next
    is read and the one before is written. The same files are scored once by the
    same model and code: a repetition returns the summary that is there.

    Args:
        model: Turns requests into minutes.
        files: Local paths of tables (files or folders of parts), or files as extracted; columns as
            published by the TLC or canonical.
        taxi: ``green`` or ``yellow``: which names to expect in the files.
        settings: Chunk size, limits on requests, and the folder of predictions.
        model_version: The registered version of ``model``: another registry may have another model
            under the same number.
        model_id: Tells models apart, whatever they are called; see `VersionInfo.model_id`.
        run_id: Of the pipeline run, written beside each prediction.
        synthetic_model: It learned from generated trips: noted in the summary and in the metadata
            of the predictions' file.

    Returns:
        Where the predictions are, and what they look like. `predictions.parquet` has the trip's id
        (the file's ``trip_id``, else the row's number in the file, from zero) and file, minutes
        with their interval (float32), model version, data hash, run and time; `rejected.parquet`
        the requests set aside with their ``reasons``.

    Raises:
        SourceError: If a file cannot be read, or changes meanwhile.
        MlopsError: If the model returns something that is not a finite number.
    """
    sources = [source for file in files for source in _sources(file, taxi)]
    data_hash = _data_hash(sources, taxi, settings)
    key = fingerprints.of_values(
        fingerprints.of_code(*_CODE), data_hash, str(model_version), model_id
    )
    folder = settings.predictions / taxi / f"{key[:16]}-v{model_version}"
    stored = _stored(folder)
    if stored is not None:
        return stored
    constants = {
        "model_version": str(model_version),
        "data_hash": data_hash,
        "run_id": run_id,
        "predicted_at": datetime.now(timezone.utc),
    }

    ids_as = _common_id_type(sources)
    remark = _remark(sources, taxi, settings)
    threads = settings.inference.threads or usable_cores()

    def write(temporary: Path) -> None:
        started = time.perf_counter()
        with PredictionWriter(temporary, ids_as, constants, synthetic_model) as output:
            chunks = _checked_chunks(sources, ids_as, taxi, settings)
            for chunk, minutes in predicted_chunks(model, chunks, threads):
                if len(minutes):
                    output.predicted(chunk.ids, chunk.source, minutes)
                output.set_aside(chunk.bad_ids, chunk.source, chunk.bad)
                if chunk.last:
                    progress.report("scored", file=chunk.source, rows=output.rows)
        require_unchanged(sources)
        seconds = time.perf_counter() - started
        summary = PredictionSummary(
            uri=str(folder),
            predictions_uri=str(folder / PREDICTIONS),
            rejected_uri=str(folder / REJECTED) if output.rejected else None,
            taxi=taxi,
            synthetic_model=synthetic_model,
            files=tuple(source.name for source in sources),
            rows=output.rows,
            rejected=output.rejected,
            rejected_by_reason=dict(output.reasons.most_common()),
            minutes=output.distribution(),
            remark=remark,
            written={file.name: sha256_of(file) for file in sorted(temporary.iterdir())},
            seconds=seconds,
            rows_per_second=(output.rows + output.rejected) / seconds,
            **constants,
        )
        write_record(temporary / _SUMMARY, summary)

    atomic_folder(folder, write)
    written = _stored(folder)
    if written is None:
        raise MlopsError(f"{folder}: the predictions vanished while being written", "run it again")
    return written


def predict_records(model: Model, records: Sequence[Any]) -> list[dict[str, Any]]:
    """Predict trips given as JSON records, within the limits of the settings in the environment.

    Args:
        model: Turns requests into minutes.
        records: Objects with the fields of `TripRequest`.

    Returns:
        Per record, in order: its ``trip_id`` if it has one, and the minutes with their interval.

    Raises:
        DataQualityError: Naming the index of the first bad record, the field and the rule.
    """
    if not records:
        return []
    requests, frame = parse_requests(records, load_settings())
    minutes = predicted_minutes(model, frame).astype(float).tolist()
    return [
        {
            **({TRIP_ID: request.trip_id} if request.trip_id is not None else {}),
            **dict(zip(OUTPUTS, values, strict=True)),
        }
        for request, values in zip(requests, minutes, strict=True)
    ]


def _sources(table: SourceFile | str | Path, taxi: str) -> list[SourceFile]:
    if isinstance(table, SourceFile):
        return [as_it_lies_there(table, partial(check_trip_file, taxi=taxi))]
    root = Path(table).resolve()
    return [
        SourceFile(
            month="",
            uri=str(file),
            name=root.name if file == root else f"{root.name}/{file.relative_to(root)}",
            sha256=sha256_of(file),
            bytes=file.stat().st_size,
            rows=check_trip_file(file, taxi, labels=False),
        )
        for file in files_of(root)
    ]


def _data_hash(sources: Sequence[SourceFile], taxi: str, settings: Settings) -> str:
    limits = settings.validation.model_dump(mode="json")
    files = [(source.name, source.sha256) for source in sources]
    return fingerprints.of_values(
        fingerprints.of_code("datasets/taxi/contract/rules.py"), files, taxi, limits
    )


def _stored(folder: Path) -> PredictionSummary | None:
    """Return the summary of a batch, if the files it speaks of are as they were written."""
    found = find_or_report(folder / _SUMMARY, PredictionSummary, "its trips are predicted again")
    changed = find_changed(folder, found.written) if found else None
    if changed is None:
        return found
    progress.report(f"{changed} was changed or damaged; its trips are predicted again")
    return None


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What is written of consecutive rows of one file, but for the predictions."""

    source: str  # name of the file
    ids: Any  # Arrow array: of the rows that are predicted
    bad: pd.DataFrame  # the others, with their reasons
    bad_ids: Any
    last: bool  # of its file


def _checked_chunks(
    sources: Sequence[SourceFile], ids_as: Any, taxi: str, settings: Settings
) -> Iterator[tuple[_Chunk, pd.DataFrame]]:
    """Read the files in chunks, and yield with each the requests that can be answered."""
    for source in sources:
        read = 0
        for ids, trips in _chunks(source, ids_as, taxi, settings):
            good, bad = split_requests(trips, settings)
            read += len(trips)
            good_ids, bad_ids = (ids.take(pa.array(rows.index)) for rows in (good, bad))
            yield _Chunk(source.name, good_ids, bad, bad_ids, last=read == source.rows), good


def _chunks(
    source: SourceFile, ids_as: Any, taxi: str, settings: Settings
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Read a file in chunks: an Arrow array of ids, and the requests, indexed from zero."""
    chunk_rows, clock = settings.inference.chunk_rows, settings.validation.clock
    for ids, trips in iter_requests(source.uri, taxi, chunk_rows, clock):
        yield ids.cast(ids_as), trips


def _common_id_type(sources: Sequence[SourceFile]) -> Any:
    """Return the type of the ids: that of the files if they agree, else text."""
    types = {id_type(source.uri) for source in sources}
    return types.pop() if len(types) == 1 else pa.string()


def _remark(sources: Sequence[SourceFile], taxi: str, settings: Settings) -> str:
    """Return what is odd about the files: no trips, or times that may be read in the wrong zone."""
    empty = [f"{source.name} has no trips" for source in sources if not source.rows]
    return "\n".join(filter(None, [*empty, _remark_on_times(sources, taxi, settings)]))


def _remark_on_times(sources: Sequence[SourceFile], taxi: str, settings: Settings) -> str:
    """Return what contradicts the clock that the times of a file are read by."""
    if settings.validation.clock != "auto":
        return ""
    for source in sources:
        first = next(iter_trips(source.uri, taxi, _SAMPLE_ROWS, [PICKUP_AT], labels=False), None)
        if first is not None:
            zoned = pickups_have_zone(source.uri, taxi)
            if problem := contradiction(first[PICKUP_AT], zoned, source.month):
                return (
                    f"{source.name}: {problem}; to say which they are, set validation.clock to "
                    "new_york or utc (for mlops predict: MLOPS_VALIDATION__CLOCK)"
                )
    return ""
