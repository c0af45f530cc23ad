"""How the model stands in the registry, read without importing MLflow, which takes seconds.

Reads MLflow's tables, which are never written, or asks its server. Actions on the answer ask
MLflow itself again.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlops import fingerprints
from mlops.errors import MlopsError
from mlops.records.sqlite import file_of, open_to_read
from mlops.registry.connection import DATABASE_WAY_OUT, is_server
from mlops.registry.trail import Trail, true_aliases
from mlops.settings import Settings

_SERVER_SECONDS: Final = 2.0
_PAGE: Final = 1_000
_VERSIONS: Final = """
select v.version, v.run_id, v.source, v.creation_time, r.artifact_uri
from model_versions v left join runs r on r.run_uuid = v.run_id
where v.name = :name and v.current_stage <> 'Deleted_Internal'
"""
_TAGS: Final = "select version, key, value from model_version_tags where name = :name"
_ALIASES: Final = "select alias, version from registered_model_aliases where name = :name"


@dataclass(frozen=True)
class StoredVersion:
    """One version as MLflow has it.

    Attributes:
        run_id: Of the run that logged its model; empty if there is none.
        source: Folder of its model, a URI.
        created_ms: Since 1970.
        tags: Its own.
        artifacts: Folder of its run, a URI; empty if there is none, or a server does not tell.
    """

    run_id: str
    source: str
    created_ms: int
    tags: Mapping[str, str]
    artifacts: str = ""

    @property
    def model_id(self) -> str:
        """What tells its model from every other one: see `model_id_of`."""
        return model_id_of(self.source, self.run_id)


def model_id_of(source: str, run_id: str) -> str:
    """Return what tells a model from every other one, also from one of the same number elsewhere.

    Args:
        source: Folder of the model, a URI.
        run_id: Of the run that logged it; may be empty.
    """
    return fingerprints.of_values(source, run_id)


@dataclass(frozen=True)
class Standing:
    """The registered model as it stands.

    Attributes:
        versions: By number.
        aliases: The version that each alias names; who is champion, the trail says.
    """

    versions: Mapping[int, StoredVersion] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)

    def number(self, asked: str) -> int | None:
        """Return the version that a number or an alias names, or None if there is none."""
        number = int(asked) if asked.isdecimal() else self.aliases.get(asked)
        return number if number in self.versions else None


def look_up(settings: Settings) -> Standing | None:
    """Return how the model stands; None if the registry cannot be read in this way.

    A registry that was never used has no versions.

    Raises:
        DamagedFileError: If its database is damaged.
    """
    standing = in_mlflow(settings)
    if standing is None:
        return None
    sources = {number: version.source for number, version in standing.versions.items()}
    aliases = true_aliases(standing.aliases, Trail(settings).in_force(sources.get))
    return Standing(standing.versions, aliases)


def model_ids(settings: Settings) -> dict[int, str]:
    """Return the model of each version; none if the registry cannot be read in this way."""
    try:
        standing = look_up(settings)
    except MlopsError:  # it is damaged: every reader that needs more of it reports that
        standing = None
    return {n: version.model_id for n, version in standing.versions.items()} if standing else {}


def in_mlflow(settings: Settings) -> Standing | None:
    """Return what MLflow says, whose aliases anybody may have moved; None as for `look_up`."""
    uri, name = settings.tracking_uri, settings.tracking.model_name
    if is_server(uri):
        return _ask_server(uri.rstrip("/"), name)
    file = file_of(uri)
    if file is None:
        return _ask_database(uri, name)
    return _ask_file(file, name) if file.exists() else Standing()


def _ask_database(uri: str, name: str) -> Standing | None:
    import sqlalchemy  # a third of a second, which SQLite does not need

    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return _standing(
                lambda query: connection.execute(sqlalchemy.text(query), {"name": name}).all()
            )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError):
        return None


def _ask_file(file: Path, name: str) -> Standing | None:
    try:
        with open_to_read(file, DATABASE_WAY_OUT) as connection:
            return _standing(lambda query: connection.execute(query, {"name": name}).fetchall())
    except sqlite3.Error:
        return None


def _standing(ask: Callable[[str], Iterable[Any]]) -> Standing:
    tags: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for version, key, value in ask(_TAGS):
        tags[int(version)][key] = value
    versions = {
        int(number): StoredVersion(run_id or "", source, created_ms, tags[int(number)], uri or "")
        for number, run_id, source, created_ms, uri in ask(_VERSIONS)
    }
    return Standing(versions, {alias: int(version) for alias, version in ask(_ALIASES)})


def _ask_server(uri: str, name: str) -> Standing | None:
    import requests

    api = f"{uri}/api/2.0/mlflow"
    try:
        with requests.Session() as session:
            found = session.get(
                f"{api}/registered-models/get", params={"name": name}, timeout=_SERVER_SECONDS
            )
            if found.status_code == requests.codes.not_found:
                return Standing()
            found.raise_for_status()
            model = found.json()["registered_model"]
            versions: dict[int, StoredVersion] = {}
            page: dict[str, Any] = {"filter": f"name = '{name}'", "max_results": _PAGE}
            while True:
                answer = session.get(
                    f"{api}/model-versions/search", params=page, timeout=_SERVER_SECONDS
                )
                answer.raise_for_status()
                content = answer.json()
                for version in content.get("model_versions", ()):
                    versions[int(version["version"])] = StoredVersion(
                        version.get("run_id", ""),
                        version["source"],
                        int(version["creation_timestamp"]),
                        {tag["key"]: tag["value"] for tag in version.get("tags", ())},
                    )
                if not content.get("next_page_token"):
                    break
                page["page_token"] = content["next_page_token"]
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return None
    aliases = {each["alias"]: int(each["version"]) for each in model.get("aliases", ())}
    return Standing(versions, aliases)
