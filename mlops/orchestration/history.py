"""What ran, read straight from Mage's tables: no import of Mage, so `mlops status` is instant."""

from __future__ import annotations

from typing import Any

import sqlalchemy

from mlops.orchestration.environment import variables
from mlops.settings import PROJECT_ROOT, Settings

_RECENT = """
select r.id as run, r.pipeline_uuid as pipeline, r.status, r.started_at, r.completed_at,
       count(b.id) as blocks,
       sum(case when b.status = 'FAILED' then 1 else 0 end) as failed
from pipeline_run r left join block_run b on b.pipeline_run_id = r.id
group by r.id, r.pipeline_uuid, r.status, r.started_at, r.completed_at
order by r.id desc limit :last
"""


def recent_runs(settings: Settings, last: int) -> list[dict[str, Any]]:
    """Return the newest pipeline runs, newest first; none before the first start of Mage.

    Args:
        settings: Say where Mage's database is.
        last: How many runs at most.
    """
    engine = sqlalchemy.create_engine(
        variables(settings, PROJECT_ROOT)["MAGE_DATABASE_CONNECTION_URL"]
    )
    if engine.dialect.name == "sqlite" and not (settings.home / "mage" / "mage.db").exists():
        return []  # connecting would create the file
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("pipeline_run"):
            return []
        statement = sqlalchemy.text(_RECENT).columns(
            started_at=sqlalchemy.DateTime(), completed_at=sqlalchemy.DateTime()
        )
        rows = connection.execute(statement, {"last": last}).mappings().all()
    return [_readable(dict(row)) for row in rows]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    started, ended = row.pop("started_at"), row.pop("completed_at")
    return {
        **row,
        "status": row["status"].lower(),
        "started": f"{started:%Y-%m-%d %H:%M:%S}" if started else "",
        "seconds": (ended - started).total_seconds() if started and ended else None,
    }
