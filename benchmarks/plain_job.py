"""The main job without Mage: the calls its blocks make, one after the other in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.preparation import prepare
from mlops.steps import (
    batch_inference,
    candidates,
    data_preparation,
    model_selection,
    profiles,
    training,
)


def run(variables: dict[str, Any]) -> dict[str, Any]:
    """Do the main job.

    Args:
        variables: The variables that `mlops run` would give to every pipeline.

    Returns:
        ``seconds`` by pipeline, and the ``candidates`` as the gate judged them.
    """
    seconds: dict[str, float] = {}

    def timed(pipeline: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        result = work(*arguments, variables)
        seconds[pipeline] = time.perf_counter() - started
        return result

    training_set = timed("data_preparation", prepare)["training_set"]
    routes = timed("route_statistics", data_preparation.publish_route_statistics, training_set)
    timed("sklearn_training", _train, training.families, training_set, routes)
    timed("xgboost_training", _train, training.objectives, training_set, routes)
    judgement = timed("model_selection", _select, training_set, routes)
    timed("batch_inference", _predict)
    return {"seconds": seconds, "candidates": judgement["candidates"]}


def _train(
    fan_out: Callable[..., training.Fan], training_set: Any, routes: Any, variables: dict[str, Any]
) -> None:
    items, _ = fan_out(training_set, routes, variables)
    if items:
        training.collect([training.tune_and_train(item, variables) for item in items])


def _select(training_set: Any, routes: Any, variables: dict[str, Any]) -> dict[str, Any]:
    items, _ = candidates.newest_candidates(training_set, routes, variables)
    reports = [candidates.refit_and_evaluate(item, variables) for item in items]
    judgement = model_selection.judge_candidates(reports, variables)
    profiles.profile_version(model_selection.register(judgement, variables), variables)
    return judgement


def _predict(variables: dict[str, Any]) -> None:
    batch_inference.score_trips(batch_inference.load(variables), variables)
