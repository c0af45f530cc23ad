"""Every trigger of every pipeline, in one typed place.

``mlops triggers --write`` writes ``pipelines/*/triggers.yaml`` from it, which is what Mage reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from mlops.datasets.catalogue import scheduled_datasets
from mlops.errors import ConfigurationError
from mlops.orchestration.runs.datasets import DATASET
from mlops.records.atomic import atomic_file
from mlops.settings import PROJECT_ROOT

HOURS: Final = 3_600
FILES: Final = "pipelines/*/triggers.yaml"
HEADER: Final = (
    "# Written by `mlops triggers --write` from mlops/orchestration/triggers/declared.py\n"
)
# Without these, Mage would write the file anew; the true times are in its database.
LONG_AGO: Final = datetime(2024, 1, 1)


class Trigger(BaseModel):
    """What starts a pipeline.

    Attributes:
        pipeline: What it starts.
        name: Unique among the pipeline's triggers.
        kind: ``time``: by ``cron``, where ``environments`` say so; ``api``: by a POST with a token.
        description: Shown in the list of triggers.
        cron: When, in UTC; of a ``time`` trigger only.
        timeout_seconds: A run that takes longer fails.
        sla_seconds: A run that takes longer is reported.
        skip_if_previous_running: A run that would overlap the one before is not started.
        allow_blocks_to_fail: The other blocks, and dynamic children, go on beside one that failed.
        variables: Given to each run; those of a request win.
        example: Variables that a request may carry, for the list.
        environments: Where a ``time`` trigger is active from the start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: str
    name: str
    kind: Literal["time", "api"]
    description: str
    cron: str = ""
    timeout_seconds: int = 2 * HOURS
    sla_seconds: int = HOURS
    skip_if_previous_running: bool = True
    allow_blocks_to_fail: bool = False
    variables: Mapping[str, Any] = {}
    example: Mapping[str, Any] = {}
    environments: tuple[str, ...] = ("prod",)


def _api(pipeline: str, description: str, **options: Any) -> Trigger:
    return Trigger(pipeline=pipeline, name="api", kind="api", description=description, **options)


TRIGGERS: Final[tuple[Trigger, ...]] = (
    Trigger(
        pipeline="batch_inference",
        name="daily",
        kind="time",
        cron="30 4 * * *",
        description="Score new rows every night.",
    ),
    Trigger(
        pipeline="retraining",
        name="weekly",
        kind="time",
        cron="0 1 * * 1",
        description="Retrain every Monday, with or without a new month.",
        timeout_seconds=8 * HOURS,
        sla_seconds=4 * HOURS,
        variables={"force": True, "reason": "the weekly retraining"},
    ),
    Trigger(
        pipeline="retraining",
        name="new_data",
        kind="time",
        cron="0 6 * * *",
        description="Check every morning for new months, and retrain if there are any.",
        timeout_seconds=8 * HOURS,
        sla_seconds=4 * HOURS,
        variables={"reason": "new data"},
    ),
    _api(
        "retraining",
        "Retrain if there is a new month, or in any case with force.",
        timeout_seconds=8 * HOURS,
        sla_seconds=4 * HOURS,
        example={"force": True, "reason": "a new price list"},
    ),
    Trigger(
        pipeline="monitoring",
        name="hourly",
        kind="time",
        cron="7 * * * *",
        description="Monitor the champion's answers every hour, and start the action that is due.",
        timeout_seconds=HOURS,
        sla_seconds=HOURS // 2,
    ),
    _api(
        "monitoring",
        "Monitor now; with monitoring.act false, only report the action that is due.",
        timeout_seconds=HOURS,
        sla_seconds=HOURS // 2,
        example={"monitoring.act": False},
    ),
    _api(
        "deployment",
        "Make a version the champion after a test and a canary; roll back if it does worse.",
        example={"version": "12", "reason": "better on long ones"},
    ),
    _api(
        "rollback",
        "Restore the previous champion, and stop a deployment in progress.",
        timeout_seconds=600,
        sla_seconds=120,
        example={"reason": "complaints about predictions that are too low"},
    ),
    _api(
        "batch_inference",
        "Score the given months with the champion.",
        example={"score_months": "2024-02"},
    ),
    _api(
        "predict",
        "Predict one trip, as the form does; the online server is faster.",
        example={"pickup_zone": 74, "dropoff_zone": 138},
    ),
    _api(
        "data_preparation",
        "Build the training set.",
        example={"months": "2023-12..2024-02"},
    ),
    _api("route_statistics", "Build the route statistics of the training set."),
    _api(
        "sklearn_training",
        "Search and train the scikit-learn families.",
        timeout_seconds=4 * HOURS,
        sla_seconds=2 * HOURS,
        allow_blocks_to_fail=True,
        example={"families": "lasso,random_forest", "max_evals": 20},
    ),
    _api(
        "xgboost_training",
        "Search and train the XGBoost objectives.",
        timeout_seconds=4 * HOURS,
        sla_seconds=2 * HOURS,
        allow_blocks_to_fail=True,
        example={"objectives": "squared_error", "max_evals": 20},
    ),
    _api(
        "model_selection",
        "Evaluate every candidate, and register the winner if it passes the gate.",
        allow_blocks_to_fail=True,
        example={"promote": False},
    ),
)


def project_triggers(project: Path = PROJECT_ROOT) -> tuple[Trigger, ...]:
    """Return all triggers, with the schedules of each dataset whose definition asks for them.

    A request names its dataset itself, so the API triggers serve every dataset.
    """
    schedules = [trigger for trigger in TRIGGERS if trigger.kind == "time"]
    return (
        *TRIGGERS,
        *(_for(trigger, name) for name in scheduled_datasets(project) for trigger in schedules),
    )


def _for(trigger: Trigger, dataset: str) -> Trigger:
    own = {
        "name": f"{trigger.name}_{dataset}",
        "description": f"{dataset}: {trigger.description}",
        "variables": {**trigger.variables, DATASET: dataset},
    }
    return trigger.model_copy(update=own)


def yaml_of(triggers: Sequence[Trigger]) -> str:
    """Return the content of a pipeline's ``triggers.yaml``."""
    content = {"triggers": [_entry(trigger) for trigger in triggers]}
    return HEADER + yaml.dump(
        content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    )


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _entry(trigger: Trigger) -> dict[str, Any]:
    on_time = trigger.kind == "time"
    settings: dict[str, Any] = {
        "timeout": trigger.timeout_seconds,
        "timeout_status": "failed",
        "allow_blocks_to_fail": trigger.allow_blocks_to_fail,
    }
    if on_time:
        settings["skip_if_previous_running"] = trigger.skip_if_previous_running
    return {
        "name": trigger.name,
        "description": trigger.description,
        "schedule_type": trigger.kind,
        "schedule_interval": trigger.cron if on_time else None,
        "start_time": LONG_AGO,
        "last_enabled_at": LONG_AGO,
        "status": "active",
        "envs": list(trigger.environments) if on_time else [],
        "sla": trigger.sla_seconds,
        "settings": settings,
        "variables": dict(trigger.variables),
        "token": None,
    }


def write(project: Path = PROJECT_ROOT, triggers: Sequence[Trigger] | None = None) -> list[Path]:
    """Bring every ``triggers.yaml`` in line with the code; returns the files that changed.

    A file that somebody else has written is left for `trigger_lint` to complain about.
    """
    triggers = project_triggers(project) if triggers is None else triggers
    wanted = {
        file_of(project, name): yaml_of([t for t in triggers if t.pipeline == name])
        for name in dict.fromkeys(trigger.pipeline for trigger in triggers)
    }
    changed = []
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            changed.append(path)
    for path in set(project.glob(FILES)) - set(wanted):
        if path.read_text(encoding="utf-8").startswith(HEADER):
            path.unlink()
            changed.append(path)
    return changed


def read(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a ``triggers.yaml``.

    Raises:
        ConfigurationError: If it is no such file.
    """
    try:
        entries = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("triggers") or []
        names = [entry["name"] for entry in entries]
    except (yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path}: not a list of triggers: {error}", "write it again: mlops triggers --write"
        ) from error
    return entries if names else []


def file_of(project: Path, pipeline: str) -> Path:
    """Return where a pipeline's triggers lie."""
    return project / "pipelines" / pipeline / "triggers.yaml"
