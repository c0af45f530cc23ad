"""Makes a version again, as the pipelines made it, and compares each stage with what is stored."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops import progress
from mlops.data.store.snapshots import read_window
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError, MlopsError
from mlops.evaluation.results import Evaluation
from mlops.registry.receipts import IntervalOrigin, Receipt, code_commit
from mlops.registry.versions import Registry
from mlops.reproduction import stages
from mlops.reproduction.data import find_data
from mlops.reproduction.environment import compare_environment
from mlops.reproduction.findings import INTERVAL, STAGES, Reproduction, Stage
from mlops.settings import FeatureSettings, Settings
from mlops.steps.training import threads as usual_threads
from mlops.training.artifact import TabularModel
from mlops.training.families import QUANTILES_FAMILY
from mlops.training.refitting import refit


def reproduce(version: int | str, settings: Settings, threads: int = 0) -> Reproduction:
    """Make a registered version again; nothing in the store, record or registry is changed.

    Args:
        version: A number or an alias.
        settings: Say where the registry, the store and the source's cache are.
        threads: For fitting; 0: as the receipt says.

    Raises:
        ConfigurationError: If there is no such version, or it was registered by hand.
        RegistryError: If its model is gone.
    """
    started = time.monotonic()
    model, info = Registry(settings).load(version)
    if info.receipt is None or info.evaluation is None:
        raise ConfigurationError(
            f"version {info.version} was registered by hand: no receipt is stored with it",
            "choose a version that a selection registered; list them with: mlops models",
        )
    original = _Original(model, info.receipt, info.evaluation)
    threads = threads or info.receipt.threads or usual_threads(settings)
    done: list[Stage] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for stage in _stages(original, settings, threads, Path(scratch)):
                progress.report(f"{stage.name}: {stage.outcome}")
                done.append(stage)
        except MlopsError as error:  # of the stage that was being made
            done.append(Stage(name=STAGES[len(done)], outcome="differs", summary=error.message))
    done += [
        Stage(name=name, outcome="not reached", summary="an earlier stage failed")
        for name in STAGES[len(done) :]
    ]
    return Reproduction(
        version=info.version,
        family=info.receipt.family,
        code=code_commit(),
        lacking=info.receipt.lacking,
        seconds=time.monotonic() - started,
        stages=tuple(done),
    )


@dataclass(frozen=True)
class _Original:
    """A version as it is registered."""

    model: TabularModel
    receipt: Receipt
    evaluation: Evaluation


def _stages(
    original: _Original, settings: Settings, threads: int, scratch: Path
) -> Iterator[Stage]:
    model, receipt = original.model, original.receipt
    yield compare_environment(receipt, threads)
    found, manifest = find_data(receipt, settings, scratch)
    yield found
    if manifest is None:
        return
    smoothing = FeatureSettings.model_validate(receipt.recipe.get("features", settings.features))
    settings = settings.model_copy(update={"features": smoothing})
    dataset = dataset_of(settings)
    past = dataset.past_at_test(manifest, settings)
    rows = read_window(manifest, "train", "validation")
    encoder = dataset.encoder(rows, past)
    yield stages.compare_features(model, encoder)

    def rebuild(family: str, params: Mapping[str, Any], seed: int, threads: int) -> TabularModel:
        return refit(
            manifest, dataset, lambda rows: encoder, family, params, seed=seed, threads=threads
        )

    again = rebuild(receipt.family, receipt.params, receipt.seed, threads)
    yield stages.compare_fit(model, again)
    origin = _origin(original)
    if origin is None:
        why = "the receipt does not say how a model of quantiles was fitted"
        yield Stage(name=INTERVAL, outcome="not reached", summary=why)
    else:
        # Asked for other threads than the receipt's, the quantiles get them as well.
        own = origin.threads if threads == receipt.threads and origin.threads else threads
        again = again.with_interval_of(rebuild(origin.family, origin.params, origin.seed, own))
        yield stages.compare_interval(model, again)
    yield from stages.compare_answers(
        model, again, original.evaluation, read_window(manifest, "test")
    )


def _origin(original: _Original) -> IntervalOrigin | None:
    """Return where the interval comes from; older versions made theirs in another way."""
    origin = original.receipt.interval
    return origin if origin is not None and origin.family == QUANTILES_FAMILY else None
