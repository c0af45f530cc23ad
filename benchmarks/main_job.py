"""What orchestration costs: the main job through Mage against the same calls in plain Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import plain_job
from benchmarks.measuring import Cost, measure, run_command
from benchmarks.report import Cell, Section, Table, judged
from benchmarks.trips import MONTHS, TAXI, Bench

MAX_EVALS = 3
# Never reached, so that every run does the same trials.
TIME_BUDGET_SECONDS = 3_600
ONE_WORKER_AIM = 1.15
TWO_WORKERS_AIM = 0.65
# One thread per child in all three runs, of every library that has a pool of its own.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
STAGES = {
    "data_preparation": ("data_preparation",),
    "route_statistics": ("route_statistics",),
    "both trainings": ("sklearn_training", "xgboost_training"),
    "model_selection": ("model_selection",),
    "batch_inference": ("batch_inference",),
}


@dataclass(frozen=True)
class JobRun:
    """One run of the main job."""

    name: str
    cost: Cost
    stages: dict[str, float]  # seconds, by the names of `STAGES`
    work: dict[str, tuple[int, float]]  # candidate → trials, validation RMSE


def run(bench: Bench) -> Section:
    """Run the main job three times, each in a fresh home, and compare."""
    plain = _plain(bench)
    one, two = (_orchestrated(bench, workers) for workers in (1, 2))
    return section(bench, plain, one, two)


def champion_home(bench: Bench) -> Path:
    """Return the home in which this part leaves a champion."""
    return bench.scratch / "main-1-worker"


def _variables(bench: Bench) -> dict[str, Any]:
    return {
        **bench.source,
        "source.taxi": TAXI,
        "training.max_evals": MAX_EVALS,
        "training.time_budget_seconds": TIME_BUDGET_SECONDS,
        "training.threads": 1,
    }


def _plain(bench: Bench) -> JobRun:
    measured = measure(
        plain_job.run,
        bench.scratch / "main-plain",
        environment=ONE_THREAD,
        variables=_variables(bench),
    )
    seconds = measured.result["seconds"]
    stages = {stage: sum(seconds[name] for name in names) for stage, names in STAGES.items()}
    return JobRun("plain Python", measured.process, stages, _work(measured.result["candidates"]))


def _orchestrated(bench: Bench, workers: int) -> JobRun:
    home = champion_home(bench) if workers == 1 else bench.scratch / f"main-{workers}-workers"
    mlops = [sys.executable, "-m", "mlops.cli"]
    assignments = {**_variables(bench), "engine.workers": workers}
    options = [part for k, v in assignments.items() for part in ("--set", f"{k}={v}")]
    cost = run_command([*mlops, "run", "--json", *options], home, environment=ONE_THREAD)
    runs = json.loads(run_command([*mlops, "status", "--json"], home).output)
    seconds = {row["pipeline"]: row["seconds"] for row in runs}
    # The pipelines of one stage start together: the stage lasts as long as the longest.
    stages = {stage: max(seconds[name] for name in names) for stage, names in STAGES.items()}
    name = f"Mage, {workers} worker{'s' if workers > 1 else ''}"
    return JobRun(name, cost, stages, _work(json.loads(cost.output)["candidates"]))


def _work(candidates: Sequence[dict[str, Any]]) -> dict[str, tuple[int, float]]:
    return {c["family"]: (c["trials"], round(c["validation_rmse"], 3)) for c in candidates}


def section(bench: Bench, plain: JobRun, one: JobRun, two: JobRun) -> Section:
    """Lay the three runs out side by side."""
    runs = (plain, one, two)
    ratios = [run.cost.seconds / plain.cost.seconds for run in runs]
    aims = (
        "",
        judged(ratios[1], ONE_WORKER_AIM, at_most=True),
        judged(ratios[2], TWO_WORKERS_AIM, at_most=True),
    )
    whole = Table(
        ("main job", "wall, s", "÷ plain Python", "aim", "CPU, s", "CPU ÷ plain Python"),
        [
            (
                run.name,
                run.cost.seconds,
                ratio,
                aim,
                run.cost.cpu_seconds,
                run.cost.cpu_seconds / plain.cost.cpu_seconds,
            )
            for run, ratio, aim in zip(runs, ratios, aims, strict=True)
        ],
    )
    lines: list[list[Cell]] = [[stage, *(run.stages[stage] for run in runs)] for stage in STAGES]
    outside = [run.cost.seconds - sum(run.stages.values()) for run in runs]
    lines.append(["start, imports, between pipelines", *outside])
    stages = Table(("seconds in", *(run.name for run in runs)), lines)
    months = " and ".join(MONTHS)
    same = all(run.work == plain.work for run in runs)
    return Section(
        title="The main job: through Mage ÷ in plain Python",
        method=f"From raw trips to a champion and its predictions, on {months} ({bench.label}):"
        f" {len(plain.work)} candidates with {MAX_EVALS} trials each, and one thread per child."
        " Each run has a fresh home and is timed from the start of its process to the end. Plain"
        " Python calls the functions that the blocks call, one after the other, and records the"
        " same in MLflow.",
        tables=(whole, stages),
        notes=(
            "All three runs did the same work: the trials and validation errors are the same."
            if same
            else f"The runs did NOT do the same work: {[run.work for run in runs]}",
            "CPU time includes every process of a run; beyond that of plain Python, it is Mage's.",
        ),
    )
