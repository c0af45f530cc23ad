"""How preparation scales: time per row and peak memory as months are added."""

from __future__ import annotations

import shutil
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import Measured, measure
from benchmarks.report import Section, Table
from benchmarks.trips import COPIES, MONTHS, Bench, copies_folder, copy_months, source_variables
from mlops.steps import data_preparation

STEPS = ("extract", "validate", "build features", "publish")


def run(bench: Bench) -> Section:
    """Prepare 1, 4, 16 and 64 copies of a month, each in a fresh process and home."""
    return section(bench, {copies: _measured(bench, copies) for copies in COPIES})


def prepare(variables: dict[str, Any]) -> dict[str, Any]:
    """Take trips through the four steps of `data_preparation`.

    Returns:
        ``rows`` read, ``seconds`` of each step, and the ``training_set``'s manifest.
    """
    clock = [time.perf_counter()]

    def tick(result: dict[str, Any]) -> dict[str, Any]:
        clock.append(time.perf_counter())
        return result

    extraction = tick(data_preparation.extract(variables))
    validated = tick(data_preparation.validate(extraction, variables))
    features = tick(data_preparation.build(validated, variables))
    manifest = tick(data_preparation.publish(features, variables))
    return {
        "rows": sum(file["rows"] for file in extraction["files"]),
        "seconds": [after - before for before, after in pairwise(clock)],
        "training_set": manifest,
    }


def _measured(bench: Bench, copies: int) -> list[Measured]:
    months = copy_months(bench, copies)
    variables = source_variables(copies_folder(bench), months[0], months[-1])
    runs = []
    for repeat in range(3 if copies <= 4 else 1):
        home = bench.scratch / f"preparation-{copies}-{repeat}"
        runs.append(measure(prepare, home, variables=variables))
        shutil.rmtree(home)
    return runs


def section(bench: Bench, sizes: dict[int, list[Measured]]) -> Section:
    """Lay the sizes out: throughput, time per row against the smallest, memory against 4."""
    rows = {copies: runs[0].result["rows"] for copies, runs in sizes.items()}
    seconds = {copies: median(run.seconds for run in runs) for copies, runs in sizes.items()}
    peak = {copies: median(run.peak_mb for run in runs) for copies, runs in sizes.items()}
    idle = median(run.idle_mb for runs in sizes.values() for run in runs)
    first, reference = min(sizes), 4
    throughput = Table(
        (
            "copies of a month",
            "trips",
            "seconds",
            "CPU, s",
            "trips/s",
            f"time per trip ÷ {first} copy",
            "peak MB",
            f"peak ÷ {reference} copies",
        ),
        [
            (
                copies,
                rows[copies],
                seconds[copies],
                median(run.cpu_seconds for run in runs),
                round(rows[copies] / seconds[copies]),
                seconds[copies] / rows[copies] / (seconds[first] / rows[first]),
                peak[copies],
                peak[copies] / peak[reference] if reference in peak else None,
            )
            for copies, runs in sizes.items()
        ],
    )
    shares = Table(
        ("copies of a month", *(f"{step}, s" for step in STEPS)),
        [
            (copies, *(median(run.result["seconds"][i] for run in runs) for i in range(len(STEPS))))
            for copies, runs in sizes.items()
        ],
    )
    return Section(
        title="Preparation: from raw files to the published training set",
        method=f"Copies of {MONTHS[0]} ({bench.label}), each shifted by whole months, go through"
        " extract, validate, build features and publish, in a fresh process per size (for 1 and 4"
        " copies, the median of three). If time grows linearly, the time per trip stays near 1; if"
        " memory does not grow, the peak stays near 1.",
        tables=(throughput, shares),
        notes=(
            f"Of each peak, {idle:,.0f} MB are needed by an idle process that imports everything.",
        ),
    )


def prepared_set(bench: Bench, home: Path) -> dict[str, Any]:
    """Publish the training set of both months in ``home``; returns its manifest."""
    manifest: dict[str, Any] = measure(prepare, home, variables=bench.source).result["training_set"]
    return manifest
