"""The metrics of pipelines and of the data products that they build."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pandas as pd
from prometheus_client import Metric

from mlops.data.store.manifests import TRAINING_SETS
from mlops.observability.gauges import gauge, seconds_of
from mlops.observability.memory import WorldPart, stamp_of
from mlops.observability.world import ObservedWorld

if TYPE_CHECKING:
    from mlops.data.references import TrainingSetManifest

STATES: Final = ("initial", "running", "completed", "failed", "cancelled")
# Folders of the store, by the name that people know the product by.
PRODUCTS: Final = {"training_set": TRAINING_SETS, "route_statistics": "route_statistics"}
TRAINING_SET: Final = {
    "rows": "Rows in the training set",
    "refused_rows": "Rows that the data contract quarantined",
    "refused_share": "Share of the rows read that were quarantined",
    "until_timestamp_seconds": "End of the rows in the training set",
    "synthetic": "1 if the rows of the training set are synthetic",
}
_LOOK_AHEAD: Final = 8  # runs to come: enough to meet a weekend


def pipeline_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield what is known of every pipeline that ever ran or is scheduled."""
    totals = world.totals
    yield gauge(
        "mlops_pipeline_runs",
        "Pipeline runs since the beginning, by state",
        [
            ({"pipeline": pipeline, "state": state}, own.get(state, 0))
            for pipeline, own in _counts(totals).items()
            for state in STATES
        ],
    )
    for state, name in (("completed", "success"), ("failed", "failure")):
        last = totals[totals["status"] == state].set_index("pipeline")["last_at"]
        yield gauge(
            f"mlops_pipeline_last_{name}_timestamp_seconds",
            f"Time at which the last run that {state} ended",
            [({"pipeline": pipeline}, seconds_of(at)) for pipeline, at in last.items()],
        )
    runs = world.runs
    done = runs[runs["status"] == "completed"].groupby("pipeline")["seconds"].last()
    yield gauge(
        "mlops_pipeline_last_duration_seconds",
        "Duration of the last completed run",
        [({"pipeline": pipeline}, seconds) for pipeline, seconds in done.items()],
    )
    running = runs[runs["status"] == "running"].groupby("pipeline")["started_at"].min()
    yield gauge(
        "mlops_pipeline_running_since_timestamp_seconds",
        "Start of the oldest run in progress",
        [({"pipeline": pipeline}, seconds_of(at)) for pipeline, at in running.items()],
    )
    yield from _schedules(world)


def _counts(totals: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {
        str(pipeline): dict(zip(own["status"], own["runs"], strict=True))
        for pipeline, own in totals.groupby("pipeline")
    }


def _schedules(world: ObservedWorld) -> Iterator[Metric]:
    """Yield what was promised: how long a run may take, and how often one is to succeed."""
    from mlops.orchestration.triggers.declared import project_triggers

    triggers = project_triggers()
    promised: dict[str, int] = {}
    for trigger in triggers:
        promised[trigger.pipeline] = max(promised.get(trigger.pipeline, 0), trigger.sla_seconds)
    yield gauge(
        "mlops_pipeline_promised_seconds",
        "Longest duration that the pipeline's triggers allow a run",
        [({"pipeline": pipeline}, seconds) for pipeline, seconds in promised.items()],
    )
    intervals: dict[str, float] = {}
    since: dict[str, float] = {}
    for trigger in triggers:
        state = world.triggers.get((trigger.pipeline, trigger.name))
        if trigger.kind == "time" and state is not None and state.active:
            name, longest = trigger.pipeline, _longest_gap(trigger.cron).total_seconds()
            intervals[name] = min(intervals.get(name, longest), longest)
            begun = seconds_of(state.created_at) or 0.0
            since[name] = min(since.get(name, begun), begun)
    yield gauge(
        "mlops_pipeline_interval_seconds",
        "Interval at which active schedules start the pipeline",
        [({"pipeline": pipeline}, seconds) for pipeline, seconds in intervals.items()],
    )
    yield gauge(
        "mlops_pipeline_scheduled_since_timestamp_seconds",
        "Time since which the pipeline has had an active schedule",
        [({"pipeline": pipeline}, at) for pipeline, at in since.items()],
    )


def _longest_gap(cron: str) -> timedelta:
    from mlops.orchestration.triggers.cron import next_time

    times = [datetime.now(timezone.utc)]
    for _ in range(_LOOK_AHEAD):
        times.append(next_time(cron, times[-1]))
    return max(later - earlier for earlier, later in pairwise(times[1:]))


def product_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield the age of the data products, whether or not what they hold can be read."""
    yield gauge(
        "mlops_data_product_published_timestamp_seconds",
        "Time at which the data product was last published or confirmed",
        [({"product": name}, at) for name, at in world.read(_PUBLISHED).items()],
    )


def training_set_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield the state of the training set published last."""
    values = _of_training_set(world, world.training_set) if world.training_set else {}
    for name, meaning in TRAINING_SET.items():
        samples = [({"product": "training_set"}, values.get(name))]
        yield gauge(f"mlops_data_product_{name}", meaning, samples)


def _of_training_set(
    world: ObservedWorld, manifest: TrainingSetManifest
) -> dict[str, float | None]:
    quality = manifest.quality
    return {
        "rows": manifest.rows,
        "refused_rows": quality.rows_quarantined,
        "refused_share": quality.bad_share,
        "until_timestamp_seconds": seconds_of(world.instant(manifest.test.end)),
        "synthetic": float(manifest.extraction.synthetic),
    }


def _published(world: ObservedWorld) -> dict[str, float]:
    """Return when each product was last published: its pointer is written each time."""
    pointers = {
        name: world.settings.store / folder / "current" for name, folder in PRODUCTS.items()
    }
    return {name: path.stat().st_mtime for name, path in pointers.items() if path.exists()}


_PUBLISHED: Final = WorldPart(
    "published",
    _published,
    lambda world: stamp_of(*(world.settings.store / folder for folder in PRODUCTS.values())),
)
