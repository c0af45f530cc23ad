"""What ran, read straight from Mage's tables: no import of Mage, so `mlops status` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy

from mlops.orchestration.environment import variables
from mlops.settings import PROJECT_ROOT, Settings

_TIMES = ("started_at", "completed_at", "last_at")
_RECENT = """
select r.id as run, r.pipeline_uuid as pipeline, r.status, r.started_at, r.completed_at,
       count(b.id) as blocks,
       sum(case when b.status = 'FAILED' then 1 else 0 end) as failed
from pipeline_run r left join block_run b on b.pipeline_run_id = r.id
group by r.id, r.pipeline_uuid, r.status, r.started_at, r.completed_at
order by r.id desc limit :last
"""


_TRIGGERS = """
select s.id, s.pipeline_uuid as pipeline, s.name, s.status,
       r.status as last_status, r.created_at as last_at
from pipeline_schedule s
left join pipeline_run r on r.id =
    (select max(id) from pipeline_run where pipeline_schedule_id = s.id)
"""


@dataclass(frozen=True)
class TriggerState:
    """What Mage's tables say of one trigger.

    Attributes:
        id: Of the trigger, as its address needs it.
        active: Whether it starts runs.
        last_result: Status of its newest run; empty when it never started one.
        last_at: When that run was created, UTC.
    """

    id: int
    active: bool
    last_result: str
    last_at: datetime | None


def recent_runs(settings: Settings, last: int) -> list[dict[str, Any]]:
    """Return the newest pipeline runs, newest first; none before the first start of Mage.

    Args:
        settings: Say where Mage's database is.
        last: How many runs at most.
    """
    return [_readable(row) for row in _ask(settings, _RECENT, {"last": last})]


def trigger_states(settings: Settings) -> dict[tuple[str, str], TriggerState]:
    """Return what is known of each trigger, by pipeline and name; nothing before the first start.

    Args:
        settings: Say where Mage's database is.
    """
    return {
        (row["pipeline"], row["name"]): TriggerState(
            id=row["id"],
            active=row["status"] == "ACTIVE",
            last_result=(row["last_status"] or "").lower(),
            last_at=row["last_at"],
        )
        for row in _ask(settings, _TRIGGERS)
    }


def _ask(
    settings: Settings, query: str, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    engine = sqlalchemy.create_engine(
        variables(settings, PROJECT_ROOT)["MAGE_DATABASE_CONNECTION_URL"]
    )
    if engine.dialect.name == "sqlite" and not (settings.home / "mage" / "mage.db").exists():
        return []  # connecting would create the file
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("pipeline_run"):
            return []
        times = {name: sqlalchemy.DateTime() for name in _TIMES if name in query}
        statement = sqlalchemy.text(query).columns(**times)
        rows = connection.execute(statement, parameters or {}).mappings().all()
    return [dict(row) for row in rows]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    started, ended = row.pop("started_at"), row.pop("completed_at")
    return {
        **row,
        "status": row["status"].lower(),
        "started": f"{started:%Y-%m-%d %H:%M:%S}" if started else "",
        "seconds": (ended - started).total_seconds() if started and ended else None,
    }
