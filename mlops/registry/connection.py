"""How to reach MLflow: a ready database, short time-outs, no chatter, and errors that name the URI.

MLflow is imported only when it is needed (it takes a second), always through this module, because
several of its settings are read at import time.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import logging.config
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mlops.errors import MlopsError, RegistryError, unwritable
from mlops.records.files import damaged
from mlops.records.sqlite import check_database, file_of, is_damage
from mlops.registry.descriptions import experiment_tags
from mlops.settings import Settings

logger = logging.getLogger(__name__)

# What a person may override in the environment.
ENVIRONMENT: Final[dict[str, str]] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A connection per transaction: nothing is inherited by the forked children of the engine.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
DATABASE_WAY_OUT: Final = (
    "restore {path} from a backup; or stop the servers, move it away (mv {path} {path}.damaged) "
    "and train again: mlops run; a running server keeps the versions it has"
)
TABLES: Final = frozenset({"experiments", "runs", "registered_models", "model_versions"})
_BUSY_SECONDS: Final = 20  # MLflow's own patience with a locked SQLite file
# Databases seen ready by this process or, before the fork, by its parent: looking takes 0.1 s.
_PREPARED: Final[set[str]] = set()
_DATABASE_ATTEMPTS: Final = 4  # with MLflow's backoff less than two seconds, instead of 100


def load_mlflow() -> None:
    """Import MLflow, silent and without telemetry; cheap after the first time in a process.

    A process that forks children which track may call it first: they inherit the import.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.store.db.utils as database

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It logs the traceback of each failed transaction, which is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    database.MAX_RETRY_COUNT = _DATABASE_ATTEMPTS
    # MLflow 3.2.0 compares with an old list of tables, finds none complete, and so migrates at each
    # opening, which races and reconfigures the root logger. Any revision means: tables exist; an
    # outdated one is still refused.
    database._all_tables_exist = _has_revision


def connect(settings: Settings) -> Any:
    """Return an ``MlflowClient`` on a database that is ready to use.

    Raises:
        RegistryError: If the server or the database cannot be reached or prepared.
    """
    load_mlflow()
    import mlflow
    from mlflow import MlflowClient
    from mlflow.tracking._tracking_service import utils

    uri = settings.tracking_uri
    with registry_errors(settings):
        # Parts of MLflow ignore the client they serve and open the process-wide default.
        mlflow.set_tracking_uri(uri)
        if is_server(uri):
            return MlflowClient(uri, uri)
        _prepare_database(settings)
        # The first client of a database inserts MLflow's default experiment: one at a time. Its
        # own default location would be a folder `mlruns` wherever the process happens to run.
        with (
            _exclusive(settings),
            replaced(utils, "DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH", settings.artifact_root),
        ):
            client = MlflowClient(uri, uri)
        _relax_synchronisation(uri)
        return client


@contextlib.contextmanager
def many_writes(settings: Settings) -> Iterator[None]:
    """Make a series of transactions on SQLite several times faster; elsewhere do nothing.

    As long as one connection stays open, closing the others does not copy SQLite's write-ahead log
    back into the database, which waits for the disk each time (sqlite.org/wal.html, section 2.1).
    """
    file = file_of(settings.tracking_uri)
    if file is None:
        yield
        return
    with contextlib.closing(sqlite3.connect(file, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("SELECT count(*) FROM alembic_version").fetchall()
        yield


def is_server(uri: str) -> bool:
    """Tell whether a tracking URI names a server rather than a database."""
    return uri.startswith(("http://", "https://"))


def ensure_tracking(settings: Settings) -> str:
    """Make tracking ready: database migrated, experiment present. Safe to call from many processes.

    An experiment that exists keeps its artifact location, wherever the settings now point: its
    older runs lie there.

    Returns:
        The id of the experiment.

    Raises:
        RegistryError: If the server or the database cannot be reached or prepared.
    """
    client = connect(settings)
    with registry_errors(settings), _exclusive(settings):
        name = settings.tracking.experiment
        found = client.get_experiment_by_name(name)
        if found is None:
            location = _location(settings)
            return str(client.create_experiment(name, location, tags=experiment_tags(settings)))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        for tag, value in experiment_tags(settings).items():
            if tag not in found.tags:  # what a person wrote there stays
                client.set_experiment_tag(found.experiment_id, tag, value)
        return str(found.experiment_id)


@contextlib.contextmanager
def registry_errors(settings: Settings) -> Iterator[None]:
    """Turn what MLflow, its database or the network raise into a `RegistryError` naming the URI."""
    load_mlflow()
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (
        MlflowException,
        requests.RequestException,
        sqlalchemy.exc.SQLAlchemyError,
        sqlite3.Error,
        OSError,
    ) as error:
        file = file_of(settings.tracking_uri)
        if file and is_damage(error):
            raise damaged(file, str(error), DATABASE_WAY_OUT) from error
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RegistryError(
            f"MLflow at {shown_uri(settings.tracking_uri)}: {_without_password(cause)}",
            "check that the server or database runs and that MLOPS_TRACKING__URI names it",
        ) from error


def shown_uri(uri: str) -> str:
    """Return a URI without its password."""
    return _without_password(uri)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _location(settings: Settings) -> str | None:
    # A server knows where its artifacts go; only a stated root overrules it.
    if is_server(settings.tracking_uri):
        return settings.tracking.artifacts or None
    return settings.artifact_root


def _prepare_database(settings: Settings) -> None:
    """Create or migrate the database, one process at a time."""
    from mlflow.store.db import utils

    uri = settings.tracking_uri
    file = file_of(uri)
    if uri in _PREPARED and (file is None or file.exists()):
        return
    with _exclusive(settings):
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            note_loss(settings)
            check_database(file, DATABASE_WAY_OUT)
            with contextlib.closing(sqlite3.connect(file, timeout=_BUSY_SECONDS)) as connection:
                # Readers and a writer do not block each other; the mode is kept in the file.
                connection.execute("PRAGMA journal_mode=WAL")
        engine = utils.create_sqlalchemy_engine_with_retry(uri)
        # MLflow's migrations configure the root logger of the process: not here.
        with replaced(logging.config, "fileConfig", lambda *_, **__: None):
            if not _has_revision(engine):
                utils._initialize_tables(engine)
            elif utils._get_schema_version(engine) != utils._get_latest_schema_revision():
                utils._upgrade_db(engine)
    _PREPARED.add(uri)


def note_loss(settings: Settings) -> None:
    """Log that the database of versions is gone, if artifacts of models are still there.

    Raises:
        DamagedFileError: If it is there, and empty: it would be filled as if nothing had been.
    """
    file = file_of(settings.tracking_uri)
    artifacts = Path(settings.artifact_root.removeprefix("file://"))
    if file is None or not artifacts.is_dir() or not any(artifacts.iterdir()):
        return
    if not file.exists():
        lost = MlopsError(
            f"{file}: the database is gone, and with it all versions; {artifacts} has models",
            f"restore {file} from a backup, or train again: mlops run",
        )
        logger.warning("%s", lost)
    elif file.stat().st_size == 0:
        raise damaged(file, "it is empty", DATABASE_WAY_OUT)


def _relax_synchronisation(uri: str) -> None:
    """Let SQLite's commits not wait for the disk: with a write-ahead log that is still consistent.

    A power failure may lose the last moments of the record but never corrupts it
    (sqlite.org/pragma.html, "synchronous").
    """
    import sqlalchemy.event
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = SqlAlchemyStore._db_uri_sql_alchemy_engine_map[uri]
    if file_of(uri) and not sqlalchemy.event.contains(engine, "connect", _synchronous_normal):
        sqlalchemy.event.listen(engine, "connect", _synchronous_normal)


def _synchronous_normal(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _has_revision(engine: Any) -> bool:
    from mlflow.store.db.utils import _get_schema_version

    return _get_schema_version(engine) is not None


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Give a name of a module another value for a while."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


@contextlib.contextmanager
def _exclusive(settings: Settings) -> Iterator[None]:
    """Hold the lock that serialises changes of the database's shape."""
    file = settings.home / "mlflow" / "prepare.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("w")
    except OSError as error:
        raise unwritable(file.parent, error) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
