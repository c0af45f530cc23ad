"""Which dataset a run belongs to: written among its variables when it is created, by any door.

The process that creates a run, the one that drives it and the one that looks at it later may each
work on another dataset: only what is written with the run is sure.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from mlops.settings import DEFAULT_DATASET, load_settings

DATASET: Final = "dataset"


def dataset_named(variables: Mapping[str, Any] | None) -> str:
    """Return the dataset of a run by its variables; runs of old homes name none."""
    return str((variables or {}).get(DATASET) or DEFAULT_DATASET)


def dataset_asked(pipeline: str, schedule_id: int, variables: Mapping[str, Any]) -> str:
    """Return the dataset of a run that is about to be created.

    Args:
        pipeline: Of the run.
        schedule_id: Of its trigger.
        variables: Its own; they rank above the trigger's, and those above the pipeline's.

    Returns:
        The dataset named by one of them, or else the one that this process works on.
    """
    if named := variables.get(DATASET):
        return str(named)
    # Only here, because these import Mage.
    from mage_ai.data_preparation.variable_manager import get_global_variables
    from mage_ai.orchestration.db.models.schedules import PipelineSchedule

    trigger = PipelineSchedule.query.get(schedule_id)
    of_trigger = (trigger and trigger.variables) or {}
    named = of_trigger.get(DATASET) or (get_global_variables(pipeline) or {}).get(DATASET)
    return str(named or load_settings().dataset)


def install() -> None:
    """Let whatever creates a run in this process name its dataset."""
    from mage_ai.orchestration.db.models.schedules import PipelineRun

    create = PipelineRun.create

    @functools.wraps(create)
    def of_a_dataset(cls: Any, *args: Any, **kwargs: Any) -> Any:
        given = kwargs.get("variables") or {}
        named = dataset_asked(kwargs["pipeline_uuid"], kwargs["pipeline_schedule_id"], given)
        return create(*args, **{**kwargs, "variables": {**given, DATASET: named}})

    PipelineRun.create = classmethod(of_a_dataset)
