"""What each child of a fan-out pays to get its data: the training set, loaded from its manifest."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from statistics import median

from benchmarks.measuring import measure
from benchmarks.preparation import prepared_set
from benchmarks.report import Section, Table
from benchmarks.trips import MONTHS, Bench
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window

REPEATS = 9
FRESH_PROCESSES = 3


def run(bench: Bench) -> Section:
    """Load the training set of both months in fresh, forked and warm processes."""
    home = bench.scratch / "product"
    manifest = prepared_set(bench, home)
    folder = manifest["uri"]
    fresh = [measure(load_once, home, folder=folder) for _ in range(FRESH_PROCESSES)]
    forked = measure(load_in_forks, home, folder=folder).result
    warm = measure(load_again, home, folder=folder).result
    rows = manifest["train"]["rows"] + manifest["validation"]["rows"]
    size = sum(path.stat().st_size for path in Path(folder).glob("*.parquet")) / 1e6
    loads = [
        ("a fresh process, with its start and imports", median(m.process.seconds for m in fresh)),
        ("a fresh process, the load alone", median(m.seconds for m in fresh)),
        ("a forked child, as the engine starts them", median(forked)),
        ("the same process again", median(warm)),
    ]
    months = " and ".join(MONTHS)
    return Section(
        title="Loading the training set, per child",
        method="Each load reads the manifest and the train and validation windows of"
        f" {months} ({bench.label}) into two frames: {rows:,} trips with"
        f" {len(manifest['columns'])} columns, from a snapshot of {size:.1f} MB with"
        f" {manifest['rows']:,} trips. The numbers are medians of {FRESH_PROCESSES} processes or"
        f" {REPEATS} loads.",
        tables=(Table(("loaded by", "ms"), [(name, 1_000 * s) for name, s in loads]),),
    )


def load_once(folder: str) -> float:
    """Load as a training child does; returns the seconds."""
    started = time.perf_counter()
    manifest = load_manifest(Path(folder))
    read_window(manifest, "train")
    read_window(manifest, "validation")
    return time.perf_counter() - started


def load_again(folder: str) -> list[float]:
    """Load once, then again and again; returns the seconds of the repetitions."""
    load_once(folder)
    return [load_once(folder) for _ in range(REPEATS)]


def load_in_forks(folder: str) -> list[float]:
    """Load in one forked child after the other; returns the seconds in each."""
    context = multiprocessing.get_context("fork")
    with context.Pool(1, maxtasksperchild=1) as pool:
        return [pool.apply(load_once, (folder,)) for _ in range(REPEATS)]
