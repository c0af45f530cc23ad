"""How batch scoring scales: trips per second, memory, and where the time goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from benchmarks import main_job, plain_job
from benchmarks.measuring import Measured, measure
from benchmarks.report import Section, Table, judged
from benchmarks.shares import shares_of_scoring
from benchmarks.trips import COPIES, MONTHS, Bench, copies_folder, copy_months, file_name
from mlops.datasets.opening import dataset_of
from mlops.inference.batch import PredictionSummary, score
from mlops.registry.versions import Registry
from mlops.serving.model.compilation import fastest_model
from mlops.settings import load_settings
from mlops.training.artifact import TabularModel

AIM_TRIPS_PER_SECOND = 500_000
DIVIDED_COPIES = 16


def run(bench: Bench) -> Section:
    """Score 1, 4, 16 and 64 copies of a month, each in a fresh process."""
    home = home_with_champion(bench)
    sizes = {copies: _measured(bench, home, copies) for copies in COPIES}
    parts = measure(time_parts, home, files=_files(bench, DIVIDED_COPIES)).result
    return section(bench, sizes, parts)


def score_files(files: Sequence[str]) -> dict[str, Any]:
    """Score files with the champion; returns rows, seconds, processor time and the model's name."""
    trained, version, scoring = _champion()
    started, cpu_started = time.perf_counter(), time.process_time()
    model = fastest_model(trained, version, _rows(files))
    summary = scoring(model, files)
    return {
        "rows": summary.rows + summary.rejected,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "model": model.family,
    }


def time_parts(files: Sequence[str]) -> dict[str, float]:
    """Score files with the champion; returns the processor seconds of each part."""
    trained, version, scoring = _champion()
    return shares_of_scoring(fastest_model(trained, version, _rows(files)), files, scoring)


def _rows(files: Sequence[str]) -> int:
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def _champion() -> tuple[TabularModel, int, Callable[..., PredictionSummary]]:
    settings = load_settings()
    model, champion = Registry(settings).load("champion")
    # The same input and model are scored once: forget what an earlier measurement left.
    shutil.rmtree(settings.predictions, ignore_errors=True)

    def scoring(model: Any, files: Sequence[str]) -> PredictionSummary:
        return score(
            model,
            files,
            dataset_of(settings),
            settings,
            model_version=champion.version,
            model_id=champion.model_id,
            run_id="benchmark",
        )

    return model, champion.version, scoring


def home_with_champion(bench: Bench) -> Path:
    """Return the home that the main job left, or fit a champion on the spot; others ask it too."""
    home = main_job.champion_home(bench)
    if not home.exists():
        variables = {
            **bench.source,
            "training.families": "global_mean,group_median",  # the gate needs a baseline
            "training.objectives": "squared_error,quantiles",
            "training.max_evals": 1,
        }
        measure(plain_job.run, home, variables=variables)
    return home


def _files(bench: Bench, copies: int) -> list[str]:
    return [str(copies_folder(bench) / file_name(m)) for m in copy_months(bench, copies)]


def _measured(bench: Bench, home: Path, copies: int) -> list[Measured]:
    files = _files(bench, copies)
    return [measure(score_files, home, files=files) for _ in range(3 if copies <= 4 else 1)]


def section(
    bench: Bench, sizes: Mapping[int, Sequence[Measured]], parts: Mapping[str, float]
) -> Section:
    """Lay the sizes out: throughput against the aim, memory against 4 copies, shares of time."""
    rows = {copies: runs[0].result["rows"] for copies, runs in sizes.items()}
    seconds = {copies: median(r.result["seconds"] for r in runs) for copies, runs in sizes.items()}
    peak = {copies: median(run.peak_mb for run in runs) for copies, runs in sizes.items()}
    idle = median(run.idle_mb for runs in sizes.values() for run in runs)
    family = next(iter(sizes.values()))[0].result["model"]
    reference = 4
    throughput = Table(
        (
            "copies of a month",
            "trips",
            "seconds",
            "CPU, s",
            "trips/s",
            "aim",
            "peak MB",
            f"peak ÷ {reference} copies",
        ),
        [
            (
                copies,
                rows[copies],
                seconds[copies],
                median(run.result["cpu_seconds"] for run in runs),
                round(rows[copies] / seconds[copies]),
                judged(rows[copies] / seconds[copies], AIM_TRIPS_PER_SECOND, at_most=False),
                peak[copies],
                peak[copies] / peak[reference],
            )
            for copies, runs in sizes.items()
        ],
    )
    whole = sum(parts.values())
    shares = Table(
        (f"of {DIVIDED_COPIES} copies", "CPU, s", "%"),
        [(part, spent, 100 * spent / whole) for part, spent in parts.items()],
    )
    return Section(
        title="Batch inference: from files to predictions",
        method=f"Copies of {MONTHS[0]} ({bench.label}), each in a file of its own, are scored with"
        f" prediction intervals by the champion ({family}) on all cores, in a fresh process per"
        " size (for 1 and 4 copies, the median of three). The time includes reading, validation,"
        " prediction and writing, the hashes of the files and the compilation of the model, but not"
        " imports and the loading of the model. Reading, prediction and writing overlap, so their"
        " shares are measured in CPU time.",
        tables=(throughput, shares),
        notes=(
            f"Of each peak, {idle:,.0f} MB are needed by an idle process that imports everything.",
        ),
    )
