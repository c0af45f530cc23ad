"""A replay in MLflow: one run, and one nested run per policy with its months as steps.

In an experiment of its own, so that nobody takes a replay's numbers for those of a training.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from mlops.backtest.results import BacktestResult
from mlops.registry.connection import connect, ensure_tracking, many_writes, registry_errors
from mlops.settings import Settings

EXPERIMENT_SUFFIX: Final = "-backtests"


def log_result(settings: Settings, result: BacktestResult, folder: Path) -> str:
    """Record a replay and the files it wrote.

    Args:
        settings: Say where the record is kept.
        result: The replay.
        folder: Its files, logged with the run.

    Returns:
        The id of the run.

    Raises:
        RegistryError: If the record cannot be written.
    """
    name = settings.tracking.experiment + EXPERIMENT_SUFFIX
    tracking = settings.tracking.model_copy(update={"experiment": name})
    experiment = ensure_tracking(settings.model_copy(update={"tracking": tracking}))
    client = connect(settings)
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1_000)
    given = {
        "months": f"{result.months[0]}..{result.months[-1]}",
        "source": result.source,
        **settings.backtest.model_dump(mode="json"),
    }
    with registry_errors(settings), many_writes(settings):
        tags = {"mlops.synthetic": str(result.synthetic).lower()}
        parent = client.create_run(experiment, tags=tags, run_name=folder.name).info.run_id
        client.log_batch(parent, params=[Param(k, str(v)) for k, v in given.items()])
        client.log_artifacts(parent, str(folder))
        for totals in result.totals:
            run = client.create_run(
                experiment,
                tags={**tags, "mlflow.parentRunId": parent},
                run_name=totals.policy,
            ).info.run_id
            summed = totals.model_dump(exclude={"policy"})
            metrics = [Metric(name, float(value), now, 0) for name, value in summed.items()]
            own = [step for step in result.steps if step.policy == totals.policy]
            for number, step in enumerate(own):
                values = {
                    **{f"live_{k}": v for k, v in step.live.model_dump(exclude={"rows"}).items()},
                    "age_months": step.age_months,
                    "seconds_of_training": step.training_seconds,
                }
                metrics += [Metric(name, float(v), now, number) for name, v in values.items()]
            client.log_batch(run, metrics=metrics, params=[Param("policy", totals.policy)])
            client.set_terminated(run)
        client.set_terminated(parent)
    return str(parent)
