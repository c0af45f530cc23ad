"""Versions read straight from MLflow's tables: without importing MLflow, which takes seconds.

The SQLite database of a home is read this way and never written. Versions that are kept elsewhere,
and a database that cannot be read, are left to MLflow, which says what is wrong.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mlops.data.sqlite import open_to_read
from mlops.records.files import find_or_report
from mlops.registry.catalogue import (
    RECORD_FILE,
    Record,
    VersionInfo,
    true_aliases,
    version_info,
)
from mlops.registry.connection import DATABASE_WAY_OUT, note_loss
from mlops.registry.trail import Trail
from mlops.settings import Settings

_VERSIONS: Final = """
select v.version, v.run_id, v.source, v.creation_time as created_ms, r.artifact_uri
from model_versions v left join runs r on r.run_uuid = v.run_id
where v.name = :name and v.current_stage <> 'Deleted_Internal' order by v.version desc
"""
_ALIASES: Final = "select version, alias from registered_model_aliases where name = :name"
_TAGS: Final = "select version, key, value from model_version_tags where name = :name"


def list_versions(settings: Settings) -> tuple[VersionInfo, ...]:
    """Return all versions of the model with their evidence, newest first.

    Raises:
        RegistryError: If the registry cannot be read.
    """
    database = settings.home / "mlflow" / "mlflow.db"
    if settings.tracking_uri == f"sqlite:///{database}":
        note_loss(settings)
        if not database.exists():
            return ()
        with contextlib.suppress(sqlite3.Error, _ElsewhereError):
            return tuple(_read(database, settings))
    from mlops.registry.versions import Registry

    return Registry(settings).versions()


def find_version(settings: Settings, wanted: int | str) -> VersionInfo | None:
    """Return a version by number or alias, or None if there is no such one.

    Raises:
        RegistryError: If the registry cannot be read.
    """
    return next(
        (
            info
            for info in list_versions(settings)
            if str(wanted) in (str(info.version), *info.aliases)
        ),
        None,
    )


class _ElsewhereError(Exception):
    """The evidence of a version is kept where only MLflow can read it."""


def _read(database: Path, settings: Settings) -> Iterator[VersionInfo]:
    with open_to_read(database, DATABASE_WAY_OUT) as connection:
        versions, aliases, tags = (
            connection.execute(query, {"name": settings.tracking.model_name}).fetchall()
            for query in (_VERSIONS, _ALIASES, _TAGS)
        )
    last = Trail(settings).newest()
    if last and (last.version, last.source) not in {(v["version"], v["source"]) for v in versions}:
        last = None  # of a version that is gone
    for row in versions:
        number = row["version"]
        yield version_info(
            number,
            true_aliases(number, [a["alias"] for a in aliases if a["version"] == number], last),
            row["run_id"] or "",
            row["source"],
            row["created_ms"],
            {tag["key"]: tag["value"] for tag in tags if tag["version"] == number},
            _record(row["artifact_uri"]),
        )


def _record(artifacts: Any) -> Record | None:
    """Return the evidence of a version; None if there is none, or it cannot be understood."""
    if not artifacts:
        return None
    parts = urlsplit(artifacts)
    if parts.scheme not in ("", "file"):
        raise _ElsewhereError
    way_out = "restore {path} from a backup, or train that model again: mlops run"
    return find_or_report(Path(unquote(parts.path)) / RECORD_FILE, Record, way_out)
