"""How good models of any table are: declared datasets against scikit-learn and FLAML, in one run.

Run by itself, ``python -m benchmarks.tables``: it takes about a quarter of an hour. FLAML runs in
an environment of its own, ``.venv-tables``, which the first run creates. The tables go to
``benchmarks/TABLES.md``.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import REPOSITORY
from benchmarks.report import Section, Table, markdown_section
from benchmarks.table_problems import TEST_MONTH, Problem, flights, flights_folder, generated
from mlops.datasets.dataset import FeatureLayout
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.histories import snapshot_of
from mlops.errors import SourceError
from mlops.training.families import OBJECTIVES
from mlops.training.family import Family, Params

TABLES = Path(__file__).with_name("TABLES.md")
AIM = 20.4  # minutes, on flights
SEARCH_SECONDS = 120.0
CORES = 2
_SEED = 1
_FAMILY = OBJECTIVES["trend_and_trees"]
_ENVIRONMENT = REPOSITORY / ".venv-tables"


def main() -> None:
    """Measure every table, print the results and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of the months of flights")
    parser.add_argument("--seconds", type=float, default=SEARCH_SECONDS, help="for each search")
    arguments = parser.parse_args()
    folder = arguments.folder or flights_folder()
    python = flaml_environment()
    sections = []
    with tempfile.TemporaryDirectory(prefix="mlops-tables-") as scratch:
        for problem in (flights(folder), *generated(Path(scratch))):
            sections.append(markdown_section(measured(problem, python, arguments.seconds)))
            print(sections[-1], flush=True)
    head = "# Tables of any kind\n\nWritten by `python -m benchmarks.tables`; do not edit"
    TABLES.write_text("\n\n".join([f"{head}, {date.today()}.", *sections]) + "\n")


def measured(problem: Problem, python: Path | None, seconds: float) -> Section:
    """Let every contestant learn and predict."""
    definition = problem.definition
    actual = problem.judging[problem.target].to_numpy()
    contestants: dict[str, Callable[[], tuple[dict[str, Any], str]]] = {
        "the mean": partial(_mean, problem),
        "scikit-learn, HistGradientBoosting, defaults": partial(_histogram, problem),
        f"FLAML, {seconds:.0f} s": partial(_flaml, problem, python, seconds),
        f"mlops, {_FAMILY.name}, {seconds:.0f} s": partial(_declared, problem, seconds),
    }
    table: list[tuple[str, str, str, float | None, float | None, str]] = []
    for name, contestant in contestants.items():
        started, used = time.perf_counter(), _cpu_seconds()
        try:
            answers, what = contestant()
        except SourceError as error:
            table.append((name, "", "", None, None, error.in_one_line))
            continue
        took, used = time.perf_counter() - started, _cpu_seconds() - used
        for variant, predicted in answers.items():
            errors = predicted - actual
            rmse, mae = float(np.sqrt(np.mean(errors**2))), float(np.mean(np.abs(errors)))
            table.append((name + variant, f"{rmse:.3f}", f"{mae:.3f}", took, used, what))
    unit = definition.task.unit or "units of the target"
    notes = [f"aim on this table: an RMSE of at most {AIM}"] if definition.name == "flights" else []
    return Section(
        f"{definition.name}: {definition.title}",
        f"Errors in {unit} on {len(actual):,} rows; learned from {len(problem.learning):,}. All"
        f" contestants use {CORES} threads; the CPU seconds say how much time a search got on"
        " a busy machine. scikit-learn and FLAML get the columns of the table, with categories as"
        " codes and times as parts of the calendar; FLAML is told which columns are categories, and"
        " that rows are in order of time where they are.",
        (Table(("model", "RMSE", "MAE", "seconds", "CPU s", "remarks"), table),),
        tuple(notes),
    )


def _cpu_seconds() -> float:
    """Return the processor time of this process and of those it waited for."""
    who = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in who)


def _mean(problem: Problem) -> tuple[dict[str, Any], str]:
    return {"": np.full(len(problem.judging), problem.learning[problem.target].mean())}, ""


def _histogram(problem: Problem) -> tuple[dict[str, Any], str]:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    train, test, _, _ = _plain(problem)
    model = HistGradientBoostingRegressor(random_state=_SEED)
    with threadpool_limits(CORES):
        return {"": model.fit(train, problem.learning[problem.target]).predict(test)}, ""


def _flaml(problem: Problem, python: Path | None, seconds: float) -> tuple[dict[str, Any], str]:
    if python is None:
        raise SourceError("FLAML could not be installed", "connect to a package index")
    train, test, columns, categories = _plain(problem)
    with tempfile.TemporaryDirectory(prefix="mlops-flaml-") as scratch:
        source, answers = Path(scratch) / "table.npz", Path(scratch) / "answers.npy"
        target = problem.learning[problem.target].to_numpy()
        np.savez(
            source,
            **{"train": train, "test": test, "target": target, "columns": columns},
            categories=np.array(categories, dtype=str),
            ordered=problem.definition.time is not None,
        )
        script = Path(__file__).with_name("flaml_search.py")
        command = [python, script, source, f"{seconds:.0f}", str(CORES), answers]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SourceError(f"FLAML failed: {done.stderr.strip()[-300:]}", "read its message")
        return {"": np.load(answers)}, done.stdout.strip().splitlines()[-1]


def _plain(problem: Problem) -> tuple[Any, Any, list[str], list[str]]:
    """Return what a person would give to a library: the columns, without any history."""
    plain = problem.definition.model_copy(update={"histories": {}})
    encoder = TableEncoder.fit(plain, problem.learning)
    matrices = (encoder.encode(rows) for rows in (problem.learning, problem.judging))
    return (*matrices, list(encoder.features), list(encoder.categories))


def _declared(problem: Problem, seconds: float) -> tuple[dict[str, Any], str]:
    """Search on the validation rows, refit on all, and predict.

    With histories, twice: with what was known on the morning of each day, as of a model whose
    histories are renewed daily; and with what was known when the model was trained.
    """
    definition, learning = problem.definition, problem.learning
    snapshot = None
    if definition.histories:
        assert definition.time is not None
        snapshot = snapshot_of(definition, learning, _morning(problem))
    encoder = TableEncoder.fit(definition, learning, snapshot)
    features = encoder.encode(learning, history=True)
    target = learning[problem.target].to_numpy()
    held = problem.validation
    started = time.perf_counter()
    params, trials = searched(
        _FAMILY,
        (features[~held], target[~held]),
        (features[held], target[held]),
        seconds,
    )
    took = time.perf_counter() - started
    model = _FAMILY.build(params, encoder.layout, _SEED, CORES)
    model.fit(features, target)
    what = f"{trials} trials in {took:.0f} s"
    if snapshot is None:
        return {"": model.predict(encoder.encode(problem.judging))}, what
    return {
        ", histories of each morning": model.predict(encoder.encode(problem.judging, history=True)),
        ", histories frozen": model.predict(encoder.encode(problem.judging)),
    }, what


def _morning(problem: Problem) -> datetime:
    return datetime.fromisoformat(f"{TEST_MONTH}-01")


def searched(family: Family, train: Any, held_out: Any, seconds: float) -> tuple[Params, int]:
    """Search a family's space for the least RMSE on held-out rows; its defaults come first.

    Returns:
        Complete hyperparameters, with the rounds that were worth keeping; and the trials.
    """
    from hyperopt import fmin, tpe

    best: tuple[float, Params] = (float("inf"), dict(family.defaults))
    trials = 0

    def attempt(proposed: dict[str, Any]) -> float:
        nonlocal best, trials
        params = family.complete(
            {k: getattr(v, "item", lambda v=v: v)() for k, v in proposed.items()}
        )
        model: Any = family.build(params, FeatureLayout(()), _SEED, CORES)
        model.fit(*train, held_out)
        rmse = float(np.sqrt(np.mean((model.predict(held_out[0]) - held_out[1]) ** 2)))
        best = min(best, (rmse, {**params, "rounds": model.rounds}), key=lambda each: each[0])
        trials += 1
        return rmse

    fmin(
        attempt,
        {name: dimension.expression(name) for name, dimension in family.space.items()},
        algo=partial(tpe.suggest, n_startup_jobs=8),
        max_evals=40,
        timeout=seconds,
        points_to_evaluate=[{n: d.point(family.defaults[n]) for n, d in family.space.items()}],
        rstate=np.random.default_rng(_SEED),
        show_progressbar=False,
        verbose=False,
    )
    return best[1], trials


def flaml_environment() -> Path | None:
    """Return the Python of an environment with FLAML, created if need be; None offline."""
    python = _ENVIRONMENT / "bin" / "python"
    ready = _ENVIRONMENT / ".ready"
    if ready.exists():
        return python
    print(f"Creating {_ENVIRONMENT.name} …", file=sys.stderr, flush=True)
    venv.create(_ENVIRONMENT, clear=True)
    lock = REPOSITORY / "requirements" / "tables.txt"
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "-q", "--python", python]
    done = subprocess.run([*uv, "--require-hashes", "-r", lock], check=False)
    if done.returncode:
        return None
    ready.touch()
    return python


if __name__ == "__main__":
    main()
