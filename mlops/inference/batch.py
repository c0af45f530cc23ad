"""Batch scoring: files of rows to a folder of predictions, in chunks, once per input and model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from pydantic import AliasChoices, Field

from mlops import fingerprints, progress
from mlops.cores import usable_cores
from mlops.counting import counted
from mlops.data.files.described import as_it_lies_there, require_unchanged
from mlops.data.files.folders import files_of
from mlops.data.references import Reference, SourceFile
from mlops.datasets.dataset import Dataset
from mlops.datasets.scoring import RequestFiles
from mlops.errors import MlopsError
from mlops.inference.overlap import Model, predicted_chunks
from mlops.inference.writing import PREDICTIONS, REJECTED, Distribution, PredictionWriter
from mlops.records.atomic import atomic_folder
from mlops.records.digests import find_changed, sha256_of
from mlops.records.files import find_or_report, write_record
from mlops.settings import DEFAULT_DATASET, Settings

_SUMMARY: Final = "summary.json"
# What turns files and a model into predictions.
_CODE: Final = ("data", "datasets", "inference", "training", "serving")


class PredictionSummary(Reference):
    """What one batch of predictions holds and where."""

    uri: str  # folder
    predictions_uri: str
    rejected_uri: str | None
    dataset: str = DEFAULT_DATASET
    taxi: str = ""  # whose trips; empty for every other dataset
    unit: str = "min"  # of the predictions; empty if they have none
    files: tuple[str, ...]
    data_hash: str  # of the files and of the rules they were held to
    model_version: str
    synthetic_model: bool = False  # it learned from generated rows
    run_id: str
    predicted_at: datetime
    rows: int  # predicted
    rejected: int
    rejected_by_reason: dict[str, int]
    # None without a single good row; batches of the worked case once called it by their unit.
    distribution: Distribution | None = Field(
        validation_alias=AliasChoices("distribution", "minutes")
    )
    seconds: float
    rows_per_second: float
    remark: str = ""  # what is odd about the files
    written: dict[str, str] = Field(default_factory=dict)  # file → SHA-256

    @property
    def summary(self) -> str:
        """The batch in a few lines."""
        mark = " (learned from synthetic rows)" if self.synthetic_model else ""
        what = counted(self.rows, "prediction")
        lines = [f"{what} by version {self.model_version}{mark} in {self.uri}"]
        if self.distribution:
            d = self.distribution
            mean, p10, p50, p90 = map(_short, (d.mean, d.p10, d.p50, d.p90))
            unit = f" {self.unit}" if self.unit else ""
            lines.append(
                f"mean {mean}{unit}, 10 % below {p10}, half below {p50}, 90 % below {p90}{unit}"
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
    dataset: Dataset,
    settings: Settings,
    *,
    model_version: str | int,
    model_id: str,
    run_id: str,
    synthetic_model: bool = False,
) -> PredictionSummary:
    """Predict every row of the files that can be predicted, and set the others aside.

    Memory holds a few chunks of `settings.inference.chunk_rows`: while one is predicted, the next
    is read and the one before is written. The same files are scored once by the
    same model and code: a repetition returns the summary that is there.

    Args:
        model: Answers requests of the dataset.
        files: Local paths of tables (files or folders of parts), or files as extracted.
        dataset: Of the files.
        settings: Of the same dataset: chunk size, limits on requests, the folder of predictions,
            and of trips, whose they are.
        model_version: The registered version of ``model``: another registry may have another model
            under the same number.
        model_id: Tells models apart, whatever they are called; see `VersionInfo.model_id`.
        run_id: Of the pipeline run, written beside each prediction.
        synthetic_model: It learned from generated rows: noted in the summary and in the metadata
            of the predictions' file.

    Returns:
        Where the predictions are, and what they look like. `predictions.parquet` has what
        identifies the row (of a trip its ``trip_id``, of others their key, else the row's number in
        the file, from zero) and its file, the prediction with its interval (float32), model
        version, data hash, run and time; `rejected.parquet` the requests set aside with their
        ``reasons``.

    Raises:
        SourceError: If a file cannot be read, or changes meanwhile.
        MlopsError: If the model returns something that is not a finite number.
    """
    requests = dataset.request_files(settings)
    sources = [source for file in files for source in _sources(file, requests)]
    data_hash = _data_hash(sources, requests, settings)
    key = fingerprints.of_values(
        fingerprints.of_code(*_CODE), data_hash, str(model_version), model_id
    )
    folder = requests.folder / f"{key[:16]}-v{model_version}"
    stored = _stored(folder)
    if stored is not None:
        return stored
    constants = {
        "model_version": str(model_version),
        "data_hash": data_hash,
        "run_id": run_id,
        "predicted_at": datetime.now(timezone.utc),
    }

    identifiers, outputs = requests.identifiers(sources), requests.outputs
    span = requests.span or (model.shortest, model.longest)
    remark = requests.remark(sources)
    threads = settings.inference.threads or usable_cores()

    def write(temporary: Path) -> None:
        started = time.perf_counter()
        with PredictionWriter(
            temporary, identifiers, outputs, span, constants, synthetic_model
        ) as output:
            chunks = _checked_chunks(sources, requests, identifiers)
            for chunk, answers in predicted_chunks(model, chunks, threads):
                if len(answers):
                    output.predicted(chunk.ids, chunk.source, answers)
                output.set_aside(chunk.bad_ids, chunk.source, chunk.bad)
                if chunk.last:
                    progress.report("scored", file=chunk.source, rows=output.rows)
        require_unchanged(sources)
        seconds = time.perf_counter() - started
        summary = PredictionSummary(
            uri=str(folder),
            predictions_uri=str(folder / PREDICTIONS),
            rejected_uri=str(folder / REJECTED) if output.rejected else None,
            dataset=dataset.name,
            taxi=requests.origin(()).taxi,
            unit=dataset.unit,
            synthetic_model=synthetic_model,
            files=tuple(source.name for source in sources),
            rows=output.rows,
            rejected=output.rejected,
            rejected_by_reason=dict(output.reasons.most_common()),
            distribution=output.distribution(),
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


def _short(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 1 or not value else f"{value:.2g}"


def _sources(table: SourceFile | str | Path, requests: RequestFiles) -> list[SourceFile]:
    if isinstance(table, SourceFile):
        return [as_it_lies_there(table, requests.count)]
    root = Path(table).resolve()
    return [
        SourceFile(
            month="",
            uri=str(file),
            name=root.name if file == root else f"{root.name}/{file.relative_to(root)}",
            sha256=sha256_of(file),
            bytes=file.stat().st_size,
            rows=requests.count(file),
        )
        for file in files_of(root)
    ]


def _data_hash(sources: Sequence[SourceFile], requests: RequestFiles, settings: Settings) -> str:
    limits = settings.validation.model_dump(mode="json")
    files = [(source.name, source.sha256) for source in sources]
    return fingerprints.of_values(
        fingerprints.of_code(requests.rules), files, requests.identity, limits
    )


def _stored(folder: Path) -> PredictionSummary | None:
    """Return the summary of a batch, if the files it speaks of are as they were written."""
    found = find_or_report(folder / _SUMMARY, PredictionSummary, "its rows are predicted again")
    changed = find_changed(folder, found.written) if found else None
    if changed is None:
        return found
    progress.report(f"{changed} was changed or damaged; its rows are predicted again")
    return None


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What is written of consecutive rows of one file, but for the predictions."""

    source: str  # name of the file
    ids: Any  # Arrow table: of the rows that are predicted
    bad: pd.DataFrame  # the others, with their reasons
    bad_ids: Any
    last: bool  # of its file


def _checked_chunks(
    sources: Sequence[SourceFile], requests: RequestFiles, identifiers: Any
) -> Iterator[tuple[_Chunk, pd.DataFrame]]:
    """Read the files in chunks, and yield with each the requests that can be answered."""
    for source in sources:
        read = 0
        for ids, rows in requests.chunks(source, identifiers):
            good, bad = requests.split(rows)
            read += len(rows)
            good_ids, bad_ids = (ids.take(pa.array(part.index)) for part in (good, bad))
            yield _Chunk(source.name, good_ids, bad, bad_ids, last=read == source.rows), good
