"""What a page of the user interface asks to start or to schedule, looked at before Mage does.

Mage accepts whatever variables a form or a script sends. Import only after `environment.boot`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.orchestration.db.models.schedules import PipelineSchedule

from mlops.errors import MlopsError
from mlops.orchestration.triggers.admission import PIPELINES, check_run, check_variables
from mlops.settings import PROJECT_ROOT

# Where runs are created, and triggers created and changed: by name of the pipeline, or by number.
_RUN: Final = re.compile(r"/api/pipeline_schedules/(\d+)/pipeline_runs/?")
_NEW: Final = re.compile(r"/api/pipelines/([^/]+)/pipeline_schedules/?")
_CHANGED: Final = re.compile(r"/api/pipeline_schedules/(\d+)/?")
_ONCE: Final = "@once"


def problem(request: Any) -> MlopsError | None:
    """Return what is wrong with the variables that a request of the API gives; None if nothing is.

    A run, and a trigger that fires once and at once, must be able to do what is asked; of another
    trigger only the names and values are looked at: the world may be another when it fires.
    """
    if request.method not in ("POST", "PUT", "PATCH"):
        return None
    path = unquote(request.path)
    try:
        if found := _RUN.fullmatch(path):
            trigger = PipelineSchedule.query.get(int(found[1]))
            run = _content(request.body, "pipeline_run")
            if trigger is not None:
                check_run_of(trigger, run.get("variables") or {})
        elif found := _NEW.fullmatch(path):
            _check_trigger(found[1], _content(request.body, "pipeline_schedule"))
        elif found := _CHANGED.fullmatch(path):
            trigger = PipelineSchedule.query.get(int(found[1]))
            if trigger is not None:
                content = _content(request.body, "pipeline_schedule")
                _check_trigger(trigger.pipeline_uuid, content)
    except MlopsError as error:
        return error
    return None


def check_run_of(trigger: PipelineSchedule, variables: Mapping[str, Any]) -> None:
    """Make sure that a run of a trigger can do what is asked by it and by its pipeline as well.

    Raises:
        MlopsError: Naming the variable, and what is accepted.
    """
    name = trigger.pipeline_uuid
    check_run(name, {**_of_pipeline(name), **(trigger.variables or {}), **variables})


def _of_pipeline(name: str) -> Mapping[str, Any]:
    """Return the variables that a pipeline of this project has by itself: all runs inherit them."""
    if name not in PIPELINES:
        return {}
    pipeline = Pipeline.get(name, repo_path=str(PROJECT_ROOT), check_if_exists=True)
    return (pipeline and pipeline.variables) or {}


def _check_trigger(pipeline: str, trigger: Mapping[str, Any]) -> None:
    if not trigger.get("variables"):
        return
    given = {**_of_pipeline(pipeline), **trigger["variables"]}
    at_once = trigger.get("schedule_interval") == _ONCE and trigger.get("status") == "active"
    (check_run if at_once else check_variables)(pipeline, given)


def _content(body: bytes, key: str) -> dict[str, Any]:
    """Return what a body says of a resource; nothing if Mage will not understand it either."""
    try:
        content = json.loads(body or b"{}")[key]
    except (ValueError, LookupError, TypeError):
        return {}
    return content if isinstance(content, dict) else {}
