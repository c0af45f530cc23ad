"""What ran, read straight from Mage's tables: no import of Mage, so it is instant and light."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from mlops.errors import ConfigurationError
from mlops.records.sqlite import open_to_read
from mlops.settings import Settings

DATABASE_WAY_OUT = (
    "stop mlops up; restore {path} from a backup, or move it away (mv {path} {path}.damaged): Mage "
    "then starts without its list of runs and its users; data, models and deployments are kept"
)

# Mage makes its tables one after the other when it first starts; before that, nothing ran.
TABLES = frozenset({"pipeline_schedule", "pipeline_run", "block_run"})
_TABLES_THERE = "select name from sqlite_master where type = 'table'"
_TIMES = ("created_at", "started_at", "completed_at", "ended_at", "last_at")
_RECENT = """
select r.id as run, r.pipeline_uuid as pipeline, r.status, r.started_at, r.completed_at,
       count(b.id) as blocks,
       sum(case when b.status = 'FAILED' then 1 else 0 end) as failed
from pipeline_run r left join block_run b on b.pipeline_run_id = r.id
group by r.id, r.pipeline_uuid, r.status, r.started_at, r.completed_at
order by r.id desc limit :last
"""
_RUN = "select status, metrics from pipeline_run where id = :run"
_TRIGGERS = """
select s.id, s.pipeline_uuid as pipeline, s.name, s.status, s.created_at,
       r.status as last_status, r.created_at as last_at
from pipeline_schedule s
left join pipeline_run r on r.id =
    (select max(id) from pipeline_run where pipeline_schedule_id = s.id)
"""
_RUNS = """
select r.id as run, r.pipeline_uuid as pipeline, s.name as trigger, r.status,
       r.created_at, r.started_at, r.completed_at as ended_at
from pipeline_run r left join pipeline_schedule s on s.id = r.pipeline_schedule_id
where r.created_at >= :since order by r.id
"""
_GIVEN = """
select id as run, variables from pipeline_run
where pipeline_uuid = :pipeline and created_at >= :since order by id
"""
_BLOCKS = """
select b.pipeline_run_id as run, r.pipeline_uuid as pipeline, b.block_uuid as block, b.status,
       b.started_at, b.completed_at as ended_at,
       case when b.status = 'FAILED' then b.metrics end as metrics
from block_run b join pipeline_run r on r.id = b.pipeline_run_id
where r.created_at >= :since order by b.id
"""
_TOTALS = """
select pipeline_uuid as pipeline, status, count(*) as runs, max(completed_at) as last_at
from pipeline_run group by pipeline_uuid, status order by pipeline_uuid, status
"""
# The times alone are whole seconds; with the counts by status no change goes unnoticed.
_STAND = """
select 'run' as kind, cast(status as varchar(20)) as status,
       count(*) as many, max(id) as newest, max(updated_at) as changed
from pipeline_run group by status
union all
select 'block', cast(status as varchar(20)), count(*), max(id), max(updated_at)
from block_run group by status
union all
select 'trigger', cast(status as varchar(20)), count(*), max(id), max(updated_at)
from pipeline_schedule group by status
order by 1, 2
"""


@dataclass(frozen=True)
class TriggerState:
    """What Mage's tables say of one trigger.

    Attributes:
        id: Of the trigger, as its address needs it.
        active: Whether it starts runs.
        created_at: When Mage first saw it, UTC.
        last_result: Status of its newest run; empty when it never started one.
        last_at: When that run was created, UTC.
    """

    id: int
    active: bool
    created_at: datetime
    last_result: str
    last_at: datetime | None


def recent_runs(settings: Settings, last: int) -> list[dict[str, Any]]:
    """Return the newest pipeline runs, newest first; none before the first start of Mage.

    Args:
        settings: Say where Mage's database is.
        last: How many runs at most.
    """
    return [_readable(row) for row in _ask(settings, _RECENT, {"last": last})]


def find_run(settings: Settings, run: int) -> dict[str, Any] | None:
    """Return the ``status`` and ``metrics`` of a pipeline run as Mage stores them, or ``None``."""
    rows = _ask(settings, _RUN, {"run": run})
    return {**rows[0], "metrics": _content(rows[0]["metrics"])} if rows else None


def require_run(settings: Settings, run: int) -> None:
    """Make sure that there is a pipeline run with this number.

    Raises:
        ConfigurationError: If there is none.
    """
    if find_run(settings, run) is None:
        raise ConfigurationError(
            f"pipeline run {run}: there is no such run", "list the runs with: mlops status"
        )


def trigger_states(settings: Settings) -> dict[tuple[str, str], TriggerState]:
    """Return what is known of each trigger, by pipeline and name; nothing before the first start.

    Args:
        settings: Say where Mage's database is.
    """
    return {
        (row["pipeline"], row["name"]): TriggerState(
            id=row["id"],
            active=row["status"] == "ACTIVE",
            created_at=row["created_at"],
            last_result=(row["last_status"] or "").lower(),
            last_at=row["last_at"],
        )
        for row in _ask(settings, _TRIGGERS)
    }


def runs_since(settings: Settings, since: datetime) -> list[dict[str, Any]]:
    """Return the pipeline runs created since then, oldest first.

    Args:
        settings: Say where Mage's database is.
        since: With time zone.

    Returns:
        Keys ``run, pipeline, trigger, status, created_at, started_at, ended_at``; times are UTC,
        with zone, or None.
    """
    return [_timed(row) for row in _ask(settings, _RUNS, {"since": _plain(since)})]


def runs_with_variables(
    settings: Settings, pipeline: str, since: datetime
) -> list[tuple[int, dict[str, Any]]]:
    """Return the runs of a pipeline created since then, with what they were given, oldest first.

    Args:
        settings: Say where Mage's database is.
        pipeline: Its name.
        since: With time zone.
    """
    rows = _ask(settings, _GIVEN, {"pipeline": pipeline, "since": _plain(since)})
    return [(row["run"], _content(row["variables"])) for row in rows]


def blocks_since(settings: Settings, since: datetime) -> list[dict[str, Any]]:
    """Return the block runs of the pipeline runs created since then, oldest first.

    Args:
        settings: Say where Mage's database is.
        since: With time zone.

    Returns:
        Keys ``run, pipeline, block, status, started_at, ended_at, error``; the error is a line,
        empty unless the block failed.
    """
    rows = [_timed(row) for row in _ask(settings, _BLOCKS, {"since": _plain(since)})]
    return [{**row, "error": _error(row.pop("metrics"))} for row in rows]


def run_totals(settings: Settings) -> list[dict[str, Any]]:
    """Return how many runs each pipeline ever had in each state, and when the last one ended.

    Args:
        settings: Say where Mage's database is.

    Returns:
        Keys ``pipeline, status, runs, last_at``.
    """
    return [_timed(row) for row in _ask(settings, _TOTALS)]


def runs_stand(settings: Settings) -> tuple[Any, ...]:
    """Return what differs whenever a run, a block's run or a trigger has changed; one query."""
    return tuple(tuple(row.values()) for row in _ask(settings, _STAND))


def explain(error: Mapping[str, Any]) -> str:
    """Return one line that says why a block failed, from what Mage and we noted of it."""
    if error.get("exception"):
        return str(error["exception"])
    lines = str(error.get("message") or error.get("error") or "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _error(metrics: Any) -> str:
    return explain(_content(metrics).get("error") or {})


def _content(stored: Any) -> dict[str, Any]:
    """Return what a JSON column holds; some databases give it as text."""
    content = json.loads(stored) if isinstance(stored, str) else stored
    return content or {}


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: _aware(row[name]) for name in _TIMES if name in row}
    return {**row, **times, "status": row["status"].lower()}


def _aware(moment: datetime | None) -> datetime | None:
    """Return a time as Mage stored it, UTC, with its zone; SQLite forgets it."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=timezone.utc)


def _plain(moment: datetime) -> str:
    """Return a time as SQLite stores it and PostgreSQL reads it."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}+00:00"


def _ask(
    settings: Settings, query: str, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    if settings.server.database_url:
        return _ask_server(settings.server.database_url, query, parameters or {})
    database = settings.home / "mage" / "mage.db"
    if not database.exists():
        return []
    with open_to_read(database, DATABASE_WAY_OUT) as connection:
        if not {name for (name,) in connection.execute(_TABLES_THERE)} >= TABLES:
            return []
        rows = [dict(row) for row in connection.execute(query, parameters or {})]
    for row in rows:
        row.update({name: _moment(row[name]) for name in _TIMES if name in row})
    return rows


def _ask_server(url: str, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    import sqlalchemy  # a third of a second, which SQLite does not need

    # An engine that keeps no connection open: nothing is inherited by a fork.
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        if not set(sqlalchemy.inspect(connection).get_table_names()) >= TABLES:
            return []
        times = {name: sqlalchemy.DateTime() for name in _TIMES if name in query}
        statement = sqlalchemy.text(query).columns(**times)
        rows = connection.execute(statement, parameters).mappings().all()
    return [dict(row) for row in rows]


def _moment(stored: str | None) -> datetime | None:
    """Return a time as SQLAlchemy stores it in SQLite, with or without its zone."""
    return datetime.fromisoformat(stored) if stored else None


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    started, ended = row.pop("started_at"), row.pop("completed_at")
    return {
        **row,
        "status": row["status"].lower(),
        "started": f"{started:%Y-%m-%d %H:%M:%S}" if started else "",
        "seconds": (ended - started).total_seconds() if started and ended else None,
    }
