"""The tables behind the dashboards Training: the last run of each training pipeline, looked into.

And, under `SELECTION`, the newest registered version, whose model is the refitted winner. What a
run recorded of its model never changes, so it is seldom read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mlops.errors import ConfigurationError
from mlops.observability.memory import WorldPart
from mlops.observability.overview_tables import READ_SEARCHES
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.evaluation.insight import Insight, TrialPoint
    from mlops.registry.searches import FinishedSearch

PIPELINES: Final = ("sklearn_training", "xgboost_training")
SELECTION: Final = "model_selection"
# The rank correlation of fewer trials says nothing.
_MIN_TRIALS: Final = 5

_WHOSE: Final = {"pipeline": "object", "family": "object"}
SEARCHED: Final = {
    **_WHOSE,
    "run": "object",  # number of the pipeline's run, as text
    "at": "datetime64[us, UTC]",
    "baseline": "bool",
    "rmse": "float64",  # on the validation window
    "mae": "float64",
    "trials": "int64",
    "seconds": "float64",  # of the whole search
}
TRIALS: Final = {
    **_WHOSE,
    "baseline": "bool",
    "trial": "int64",  # from 1
    "elapsed": "float64",  # seconds of search at its end
    "rmse": "float64",  # on the validation window; NaN if it failed
    "best": "float64",  # so far; NaN before the first that did not fail
}
PARAMETERS: Final = {
    **_WHOSE,
    "parameter": "object",
    "correlation": "float64",  # rank correlation with the loss of the search
    "trials": "int64",
}
CURVES: Final = {
    **_WHOSE,
    "unit": "object",  # rounds or trees
    "loss": "object",  # its name
    "step": "int64",
    "window": "object",  # train or validation
    "value": "float64",
}
CONTRIBUTIONS: Final = {
    **_WHOSE,
    "rmse": "float64",  # of the candidate: orders them
    "rows": "int64",  # explained
    "feature": "object",
    "mean": "float64",  # of |contribution|
}
RESIDUALS: Final = {
    **_WHOSE,
    "rmse": "float64",  # of the candidate: orders them
    "window": "object",  # validation or test
    "dimension": "object",
    "slice": "object",
    "rows": "int64",
    "mean": "float64",  # of predicted - actual
    "spread": "float64",  # its standard deviation
    "slice_rmse": "float64",
}


class _Looked(NamedTuple):
    """A candidate, and what was seen in it."""

    pipeline: str
    family: str
    rmse: float
    insight: Insight


def searched(world: ObservedWorld) -> pd.DataFrame:
    """Return the candidates of the last run of each training pipeline, the best first."""
    rows = [
        {
            **each.model_dump(include={"pipeline", "family", "at", "rmse", "mae", "trials"}),
            "run": each.pipeline_run,
            "baseline": _is_baseline(each.family),
            "seconds": each.seconds,
        }
        for each in _last_searches(world)
    ]
    return frame_of(rows, SEARCHED).sort_values(["pipeline", "rmse"])


def trials(world: ObservedWorld) -> pd.DataFrame:
    """Return every trial of these candidates with the best error so far."""
    return _table(world, TRIALS, lambda found: _trial_rows(found.insight.trials, found.family))


def parameters(world: ObservedWorld) -> pd.DataFrame:
    """Return how the loss of the search went along with each hyperparameter that was varied."""
    return _table(world, PARAMETERS, lambda found: _parameter_rows(found.insight.trials))


def curves(world: ObservedWorld) -> pd.DataFrame:
    """Return the error of the best trial of each family as its model grew."""
    return _table(world, CURVES, lambda found: _curve_rows(found.insight))


def contributions(world: ObservedWorld) -> pd.DataFrame:
    """Return what features add to predictions; of the newest version under `SELECTION`."""
    return _table(world, CONTRIBUTIONS, _contribution_rows, versions=True)


def residuals(world: ObservedWorld) -> pd.DataFrame:
    """Return the errors of each slice; of the newest version under `SELECTION`."""
    return _table(world, RESIDUALS, _residual_rows, versions=True)


def _table(
    world: ObservedWorld,
    columns: Mapping[str, str],
    rows_of: Callable[[_Looked], Iterator[dict[str, Any]]],
    versions: bool = False,
) -> pd.DataFrame:
    rows = [
        {"pipeline": found.pipeline, "family": found.family, **row}
        for found in (*_candidates(world), *(_newest_version(world) if versions else ()))
        for row in rows_of(found)
    ]
    return frame_of(rows, columns)


def _last_searches(world: ObservedWorld) -> Iterator[FinishedSearch]:
    """Yield the candidates of the last run of each pipeline, each family once."""
    every = world.read(READ_SEARCHES)
    for pipeline in PIPELINES:
        own = [each for each in every if each.pipeline == pipeline]
        last = own[-1].pipeline_run if own else ""
        yield from {each.family: each for each in own if each.pipeline_run == last}.values()


def _candidates(world: ObservedWorld) -> Iterator[_Looked]:
    best_first = sorted(_last_searches(world), key=lambda search: search.rmse)
    for each in best_first:
        insight = _insight(world, each.run_id)
        if insight is not None:
            yield _Looked(each.pipeline, each.family, each.rmse, insight)


def _newest_version(world: ObservedWorld) -> Iterator[_Looked]:
    for each in world.versions[:1]:
        insight = _insight(world, each.run_id)
        if insight is not None and each.receipt and each.evaluation:
            rmse = each.evaluation.metrics.rmse
            yield _Looked(
                SELECTION, f"version {each.version} ({each.receipt.family})", rmse, insight
            )


def _insight(world: ObservedWorld, run_id: str) -> Insight | None:
    return world.read(WorldPart(f"insight of {run_id}", partial(_read_insight, run_id), _by_hour))


def _read_insight(run_id: str, world: ObservedWorld) -> Insight | None:
    from mlops.registry.searches import load_insight

    return load_insight(world.settings, run_id)


def _by_hour(world: ObservedWorld) -> int:
    # It never changes, but it may have been out of reach.
    return int(world.at.timestamp() // 3_600)


def _is_baseline(family: str) -> bool:
    from mlops.training.families import family_of

    with suppress(ConfigurationError):  # a family of the past, or one that cannot be loaded
        return family_of(family).baseline
    return False


def _trial_rows(points: tuple[TrialPoint, ...], family: str) -> Iterator[dict[str, Any]]:
    elapsed, best = 0.0, np.nan
    for point in points:
        elapsed += point.seconds
        best = np.fmin(best, np.nan if point.rmse is None else point.rmse)
        yield {
            "baseline": _is_baseline(family),
            "trial": point.number + 1,
            "elapsed": elapsed,
            "rmse": point.rmse,
            "best": best,
        }


def _parameter_rows(points: tuple[TrialPoint, ...]) -> Iterator[dict[str, Any]]:
    """Yield Spearman's rank correlation of each varied number with the loss."""
    done = [point for point in points if point.loss is not None]
    if len(done) < _MIN_TRIALS:
        return
    values = pd.DataFrame([point.params for point in done]).select_dtypes("number")
    # Rounds are not proposed but found, by stopping early.
    varied = values.loc[:, values.nunique() > 1].drop(columns="rounds", errors="ignore")
    loss = pd.Series([point.loss for point in done]).rank()
    for name in varied:
        correlation = varied[name].rank().corr(loss)
        yield {"parameter": name, "correlation": correlation, "trials": len(done)}


def _curve_rows(insight: Insight) -> Iterator[dict[str, Any]]:
    curve = insight.curve
    if curve is None:
        return
    for window, values in (("train", curve.training), ("validation", curve.validation)):
        for step, value in zip(curve.steps, values, strict=False):  # none of the training window
            row = {"step": step, "window": window, "value": value}
            yield {"unit": curve.unit, "loss": curve.loss, **row}


def _contribution_rows(found: _Looked) -> Iterator[dict[str, Any]]:
    seen = found.insight.contributions
    if seen is not None:
        for feature, mean in seen.means.items():
            yield {"rmse": found.rmse, "rows": seen.rows, "feature": feature, "mean": mean}


def _residual_rows(found: _Looked) -> Iterator[dict[str, Any]]:
    for each in found.insight.slices:
        yield {
            "rmse": found.rmse,
            "window": found.insight.window,
            "dimension": each.dimension,
            "slice": each.slice,
            "rows": each.rows,
            "mean": each.bias,
            # The mean square is that of the mean and that around it.
            "spread": float(np.sqrt(max(each.rmse**2 - each.bias**2, 0.0))),
            "slice_rmse": each.rmse,
        }


TABLES: Final[Mapping[str, ObservedTable]] = {
    "training_candidates": ObservedTable(SEARCHED, searched),
    "training_trials": ObservedTable(TRIALS, trials),
    "training_parameters": ObservedTable(PARAMETERS, parameters),
    "training_curves": ObservedTable(CURVES, curves),
    "training_contributions": ObservedTable(CONTRIBUTIONS, contributions),
    "training_residuals": ObservedTable(RESIDUALS, residuals),
}
