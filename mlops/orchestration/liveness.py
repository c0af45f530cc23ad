"""Whether a pipeline run is still in somebody's hands: from Mage's tables and our locks, no Mage.

A run in progress whose driver is dead is not alive: an engine that was killed leaves its runs
marked and RUNNING, and a server that is down leaves its own.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy

from mlops.orchestration.environment import variables
from mlops.orchestration.lock import HomeLock, is_held
from mlops.orchestration.marks import MARK
from mlops.orchestration.naming import ENGINE_LOCK, SCHEDULER_LOCK
from mlops.settings import PROJECT_ROOT, Settings

_RUN = sqlalchemy.text("select status, metrics from pipeline_run where id = :id")
_IN_PROGRESS = ("INITIAL", "RUNNING")


def run_is_alive(settings: Settings, run_id: str) -> bool:
    """Tell whether a run is in progress and its driver alive.

    Args:
        settings: Say where Mage's database and our locks are.
        run_id: Number of the pipeline run.

    Returns:
        True as well if Mage's database cannot be asked: whoever could be at work must not be
        disturbed.
    """
    database = variables(settings, PROJECT_ROOT)["MAGE_DATABASE_CONNECTION_URL"]
    if database.startswith("sqlite") and not (settings.home / "mage" / "mage.db").exists():
        return False  # connecting would create the file
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            row = connection.execute(_RUN, {"id": int(run_id)}).first()
    except sqlalchemy.exc.SQLAlchemyError:
        return True
    if row is None or row[0] not in _IN_PROGRESS:
        return False
    mark = _metrics(row[1]).get(MARK)
    if mark is None:
        return is_held(settings.home / SCHEDULER_LOCK)
    lock = settings.home / ENGINE_LOCK
    return is_held(lock) and HomeLock(lock, "").holder().get("pid") == mark["pid"]


def _metrics(stored: Any) -> dict[str, Any]:
    content = json.loads(stored) if isinstance(stored, str) else stored
    return content or {}
