"""Mage's table of triggers, kept in line with the files. Import only after `environment.boot`.

In place of Mage's own synchronisation, which rewrites tracked files, lets one bad expression stop
every trigger, forgets what was removed, and cannot tell environments apart.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.triggers import ScheduleStatus, ScheduleType
from mage_ai.orchestration import pipeline_scheduler_original
from mage_ai.orchestration.db import db_connection
from mage_ai.orchestration.db.models.schedules import PipelineSchedule
from pydantic import RootModel

from mlops.errors import ConfigurationError
from mlops.orchestration.triggers import declared as triggers
from mlops.orchestration.triggers.tokens import api_token
from mlops.records.files import find_or_report, write_record
from mlops.settings import Settings

logger = logging.getLogger(__name__)


class _Names(RootModel[frozenset[tuple[str, str]]]):
    """Pipelines and names of triggers."""


class Schedules:
    """Puts the triggers of a project's files into Mage's table, again whenever a file changes.

    The files are the truth: what a person switches on or off in the user interface holds until the
    file changes or the server starts again. Triggers that people made there are left alone.

    Args:
        settings: Say which environment this is, and hold the tokens.
        project: The Mage project's root.
    """

    def __init__(self, settings: Settings, project: Path) -> None:
        self._settings = settings
        self._project = project
        self._record = settings.home / "server" / "triggers.json"
        self._seen: dict[Path, int] = {}

    def install(self) -> None:
        """Take the place of Mage's own synchronisation in this process."""
        pipeline_scheduler_original.sync_schedules = lambda pipelines: self.sync()

    def sync(self) -> None:
        """Bring Mage's table in line with the files, if one of them has changed."""
        files = {
            path: path.stat().st_mtime_ns
            for path in self._project.glob("pipelines/*/triggers.yaml")
        }
        if files == self._seen:
            return
        try:
            entries = {path.parent.name: triggers.read(path) for path in sorted(files)}
        except ConfigurationError:
            self._seen = files
            logger.exception("triggers stay as they are")
            return
        names = {(pipeline, entry["name"]) for pipeline in entries for entry in entries[pipeline]}
        for pipeline, found in entries.items():
            for entry in found:
                self._put(pipeline, entry)
        self._retire(self._recorded() - names)
        write_record(self._record, _Names(frozenset(names)))
        self._seen = files

    def _put(self, pipeline: str, entry: Mapping[str, Any]) -> None:
        """Create or update one trigger; a bad one is logged and costs the others nothing."""
        try:
            values = self._values(pipeline, entry)
            row = _find(pipeline, entry["name"])
            was_active = row is not None and (row.status, row.schedule_interval) == (
                ScheduleStatus.ACTIVE,
                values["schedule_interval"],
            )
            if values["status"] == ScheduleStatus.ACTIVE and not was_active:
                # From now on: what was due while it was off is not made up for.
                values["last_enabled_at"] = datetime.now(timezone.utc)
            if row is None:
                PipelineSchedule.create(name=entry["name"], pipeline_uuid=pipeline, **values)
            else:
                row.update(**values)
        except Exception:
            db_connection.session.rollback()
            logger.exception("trigger %s/%s: not put in place", pipeline, entry["name"])

    def _values(self, pipeline: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        kind = ScheduleType(entry["schedule_type"])
        environments = entry.get("envs") or [self._settings.environment]
        active = entry.get("status") == "active" and self._settings.environment in environments
        start = entry.get("start_time")
        return {
            "description": entry.get("description"),
            "schedule_type": kind,
            "schedule_interval": entry.get("schedule_interval"),
            "start_time": datetime.fromisoformat(str(start)) if start else None,
            "status": ScheduleStatus.ACTIVE if active else ScheduleStatus.INACTIVE,
            "sla": entry.get("sla"),
            "settings": entry.get("settings") or {},
            "variables": entry.get("variables") or {},
            "token": api_token(self._settings, pipeline) if kind == ScheduleType.API else None,
        }

    def _recorded(self) -> set[tuple[str, str]]:
        """Return the triggers that files put here at the last start or change."""
        way_out = "removed from the files since then; switch them off in Mage"
        recorded = find_or_report(self._record, _Names, way_out)
        return set(recorded.root) if recorded else set()

    def _retire(self, names: Iterable[tuple[str, str]]) -> None:
        """Switch off what was in the files once: Mage would let it start runs for ever."""
        for pipeline, name in names:
            row = _find(pipeline, name)
            if row is not None:
                row.update(status=ScheduleStatus.INACTIVE, token=None)


def _find(pipeline: str, name: str) -> PipelineSchedule | None:
    return PipelineSchedule.repo_query.filter(
        PipelineSchedule.pipeline_uuid == pipeline, PipelineSchedule.name == name
    ).first()
