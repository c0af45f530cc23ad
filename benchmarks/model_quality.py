"""How good every candidate is on the real months, and what it costs: searched, refitted, judged.

Run by itself, ``python -m benchmarks.model_quality``: it takes up to half an hour. The tables of
all candidates go to ``benchmarks/QUALITY.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.measuring import REPOSITORY
from benchmarks.report import Section, Table, markdown_section
from benchmarks.trips import TAXI, file_name, source_variables
from mlops.data.references import TrainingSetManifest
from mlops.data.store.snapshots import publish_training_set, read_window
from mlops.datasets.taxi.contract.validation import validate
from mlops.datasets.taxi.features.build import build_features
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources import extract
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET
from mlops.errors import SourceError
from mlops.evaluation.metrics import regression_metrics
from mlops.settings import Settings, load_settings
from mlops.training.artifact import TabularModel
from mlops.training.families import FAMILIES, OBJECTIVES, family_of
from mlops.training.tuning import tune

QUALITY = Path(__file__).with_name("QUALITY.md")
_HEAD = "# Model quality\n\nWritten by `python -m benchmarks.model_quality`; do not edit"
TEST_MONTH = "2024-02"
# Training months → the RMSE aimed at, in minutes.
AIMS = {("2024-01", "2024-01"): 4.30, ("2023-10", "2024-01"): 4.00}
SEARCH_SECONDS = 600.0  # for all candidates there are, in equal shares
HEADER = (
    "candidate",
    "RMSE",
    "MAE",
    "RMSE, clean trips",
    "validation RMSE",
    "trials",
    "search, s",
    "refit, s",
    "trips/s",
)


def main() -> None:
    """Measure the candidates named, by default all, and print a table per set of months."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_quality", description=__doc__)
    parser.add_argument("candidates", nargs="*", help=f"of: {', '.join([*FAMILIES, *OBJECTIVES])}")
    names = parser.parse_args().candidates or [*FAMILIES, *OBJECTIVES]
    for name in names:
        family_of(name)
    folder = months_folder()
    tables = []
    for (first, last), aim in AIMS.items():
        with (
            tempfile.TemporaryDirectory(prefix="mlops-quality-") as scratch,
            redirect_stdout(sys.stderr),  # where progress belongs: the tables go to a file
        ):
            section = measured(names, folder, first, last, aim, Path(scratch))
        tables.append(markdown_section(section).strip())
        print(tables[-1], flush=True)
    if set(names) == {*FAMILIES, *OBJECTIVES}:
        QUALITY.write_text("\n\n".join([f"{_HEAD}, {date.today()}.", *tables]) + "\n")


def months_folder() -> Path:
    """Return the folder of the real months.

    Raises:
        SourceError: If one is missing: on synthetic trips these numbers would mean nothing.
    """
    base = Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / TAXI
    for month in (TEST_MONTH, *(end for months in AIMS for end in months)):
        if not (base / file_name(month)).exists():
            raise SourceError(
                f"{base / file_name(month)}: missing", "set MLOPS_TEST_DATA to the real months"
            )
    return base


def measured(
    names: Sequence[str], folder: Path, first: str, last: str, aim: float, home: Path
) -> Section:
    """Search, refit and judge every candidate on one set of months."""
    variables = source_variables(folder, first, TEST_MONTH)
    settings = load_settings(
        {
            **variables,
            "home": str(home),
            "training.time_budget_seconds": SEARCH_SECONDS / len([*FAMILIES, *OBJECTIVES]),
        }
    )
    validated = validate(extract(settings), settings)
    manifest = publish_training_set(build_features(validated, settings), settings, "benchmark")
    every = all_test_trips(folder)
    rows = list(candidates(names, manifest, every, settings))
    best = min(rows, key=lambda row: float(row[1]))
    searched = sum(float(row[6]) for row in rows)
    return Section(
        f"Model quality: trained on {first} to {last}",
        f"Errors in minutes on {len(every):,} trips of {TEST_MONTH}: on all trips of 1 to 60"
        " minutes, whatever else is wrong with them, and on the clean ones alone. The search"
        f" validates on the {settings.windows.validation_days} days before the test month; each"
        " candidate is then refitted on everything before that month. The search used"
        f" {searched:.0f} of {SEARCH_SECONDS:.0f} s, and fits use all cores.",
        (Table(HEADER, rows),),
        (f"best: {best[0]}, {best[1]} minutes; aim: at most {aim:.2f}.",),
    )


def all_test_trips(folder: Path) -> pd.DataFrame:
    """Return every trip of the test month of 1 to 60 minutes, bad distances and zones included."""
    trips = read_trips(folder / file_name(TEST_MONTH), TAXI)
    trips[TARGET] = (trips[DROPOFF_AT] - trips[PICKUP_AT]) / pd.Timedelta(minutes=1)
    return trips[trips[TARGET].between(1, 60) & (trips[PICKUP_AT] >= f"{TEST_MONTH}-01")]


def candidates(
    names: Sequence[str], manifest: TrainingSetManifest, every: pd.DataFrame, settings: Settings
) -> Iterable[tuple[str | float | int, ...]]:
    """Yield one row of the table per candidate."""
    train, validation, clean = (
        read_window(manifest, window) for window in ("train", "validation", "test")
    )
    both = pd.concat([train, validation])
    for_search, for_test = (
        RouteStatistics.of(both, start, settings.features)
        for start in (manifest.validation.start, manifest.test.start)
    )
    threads = len(os.sched_getaffinity(0))
    for name in names:
        started = time.perf_counter()
        search = tune(
            name, train, validation, FeatureEncoder(for_search), TARGET, settings.training, threads
        )
        searched = time.perf_counter()
        model = TabularModel.fit(
            name,
            search.best_params,
            both,
            FeatureEncoder(for_test),
            TARGET,
            seed=settings.training.seed,
            threads=threads,
        )
        refitted = time.perf_counter()
        predicted = model.predict_point(every)
        seconds = min(_seconds(model, every) for _ in range(3))
        found = regression_metrics(every[TARGET], predicted)
        on_clean = regression_metrics(clean[TARGET], model.predict_point(clean))
        row = (
            name,
            found.rmse,
            found.mae,
            on_clean.rmse,
            search.best_trial.rmse or float("nan"),
            len(search.trials),
            searched - started,
            refitted - searched,
            round(len(every) / seconds),
        )
        print(*row, search.best_params, file=sys.stderr, flush=True)
        yield tuple(f"{cell:.3f}" if 0 < index < 5 else cell for index, cell in enumerate(row))


def _seconds(model: TabularModel, trips: pd.DataFrame) -> float:
    started = time.perf_counter()
    model.predict_point(trips)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
