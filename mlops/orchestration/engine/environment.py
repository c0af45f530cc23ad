"""Makes this process one that Mage runs in: Mage reads its environment once, at import.

Nothing outside ``mlops/orchestration`` imports Mage; every module here that does is imported
after `prepare`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mlops.errors import ConfigurationError
from mlops.orchestration.engine import definitions
from mlops.orchestration.runs import datasets
from mlops.orchestration.runs.history import DATABASE_WAY_OUT
from mlops.orchestration.runs.lock import HomeLock
from mlops.privacy import keep_private
from mlops.records.sqlite import check_database, file_of
from mlops.registry.receipts import note_code
from mlops.settings import Settings

LOG_BYTES = 5_000_000
MIGRATION_SECONDS = 120


def variables(settings: Settings, project: Path) -> dict[str, str]:
    """Return the environment variables under which Mage serves ``project`` from our home."""
    state = settings.home / "mage"
    return {
        # Blocks, and the runs that they start, work on it unless their own variables say otherwise.
        "MLOPS_DATASET": settings.dataset,
        "MAGE_REPO_PATH": str(project),
        "MAGE_DATA_DIR": str(state),
        # Always explicit: Mage's default depends on the working directory.
        "MAGE_DATABASE_CONNECTION_URL": settings.server.database_url
        or f"sqlite:///{state / 'mage.db'}",
        "MAGE_PRESENTERS_DIRECTORY": str(project / "presenters"),
        "ENV": "prod",
        "TZ": "UTC",
        "DISABLE_AUTO_BROWSER_OPEN": "1",
        "DISABLE_AUTORELOAD": "1",
        "SERVER_VERBOSITY": "warning",
    }


def prepare(settings: Settings, project: Path) -> None:
    """Set Mage's environment in this process and create its folders.

    Raises:
        ConfigurationError: If ``project`` is not a Mage project, or if Mage was imported in this
            process for another project or home: it binds its database at import.
    """
    if not (project / "metadata.yaml").is_file():
        raise ConfigurationError(
            f"{project}: there is no metadata.yaml, so this is not a Mage project",
            "set MLOPS_PROJECT to the project's root folder",
        )
    wanted = variables(settings, project)
    if "mage_ai.orchestration.db" in sys.modules:
        bound = ("MAGE_REPO_PATH", "MAGE_DATA_DIR", "MAGE_DATABASE_CONNECTION_URL")
        for name in bound:
            if os.environ.get(name) != wanted[name]:
                raise ConfigurationError(
                    f"{name}: this process already uses {os.environ.get(name)}",
                    f"start another process for {wanted[name]}",
                )
    keep_private(settings.home)
    (settings.home / "mage").mkdir(parents=True, exist_ok=True)
    settings.logs.mkdir(parents=True, exist_ok=True)
    os.environ.update(wanted)
    time.tzset()


def boot(log: Path | None, preload: Sequence[str] = ()) -> None:
    """Import Mage, bring its database up to date and keep its talk off the terminal.

    Args:
        log: Where Mage's messages of this process go; ``None`` when its output is a log already.
        preload: Modules to import as well: forked blocks then have them for nothing. They must
            only be imported here, never used: threads do not survive a fork.
    """
    note_code()
    if log is None:
        log_readably()
    else:
        _log_to(log)
    check_mage_database()
    with quiet(log) if log else contextlib.nullcontext():
        for module in preload:
            importlib.import_module(module)
        with (
            _postponed("sklearn.utils", "estimator_html_repr"),
            _postponed("memory_profiler", "memory_usage"),
        ):
            importlib.import_module("mage_ai.data_preparation.models.block.outputs")
            importlib.import_module("mage_ai.system.memory.utils")
        _leave_tracked_files_alone()
        database = importlib.import_module("mage_ai.orchestration.db")
        _suit_sqlite(database.engine)
        _migrate(database.engine)
        database.db_connection.start_session()
        # Mage's own queue starts a process as soon as the scheduler is imported.
        factory = importlib.import_module("mage_ai.orchestration.queue.queue_factory")
        factory.QueueFactory.queue = factory.QueueFactory.queue or NoQueue()
        # Mage cancels runs, without a word, when 95 % of the host's or the container's memory is
        # in use, file cache included; and starts a process to measure it at each step.
        scheduler: Any = importlib.import_module(
            "mage_ai.orchestration.pipeline_scheduler_original"
        )
        scheduler.get_memory = lambda: (None, None, None)
        definitions.install(Path(os.environ["MAGE_DATA_DIR"]))
        datasets.install()
        importlib.import_module("mlops.orchestration.products.consumers").install()
        importlib.import_module("mlops.orchestration.engine.drive")


@contextlib.contextmanager
def _postponed(module: str, function: str) -> Iterator[None]:
    """Let Mage import a function whose module is imported only when the function is called.

    For the sake of a function each, which draws estimators and measures the memory of blocks, Mage
    imports scikit-learn, SciPy and IPython: a third of its start.
    """
    names = {module.partition(".")[0], module} - sys.modules.keys()
    stand_ins = {name: ModuleType(name) for name in names}
    for stand_in in stand_ins.values():
        stand_in.__path__ = []
    if module in stand_ins:
        stand_ins[module].__dict__[function] = lambda *args, **kwargs: getattr(
            importlib.import_module(module), function
        )(*args, **kwargs)
    sys.modules.update(stand_ins)
    yield
    for name in names:
        del sys.modules[name]


def _leave_tracked_files_alone() -> None:
    """Keep Mage from rewriting ``triggers.yaml``: what its pages switch stays in its tables.

    Before anything else imports these functions by name.
    """
    files: Any = importlib.import_module("mage_ai.data_preparation.models.triggers")
    for name in (
        "add_or_update_trigger_for_pipeline_and_persist",
        "update_triggers_for_pipeline_and_persist",
        "remove_trigger",
    ):
        setattr(files, name, lambda *args, **kwargs: None)


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Send what is printed meanwhile to ``log``."""
    with (
        log.open("a", buffering=1, encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield


def log_readably() -> None:
    """In a block's process: unwrap the JSON that Mage logs, and write it to the block's log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Unwrapped("%(asctime)s %(message)s"))
    logging.getLogger().handlers[:] = [handler]


class _Unwrapped(logging.Formatter):
    """Mage's records are JSON objects with a dozen tags; people want the message."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            content = json.loads(record.getMessage())
            record.msg, record.args = str(content["message"]), None
            if content.get("error"):
                record.msg += "\n" + str(content["error"])
            record.exc_info = None
        except (ValueError, TypeError, KeyError):
            pass
        return super().format(record)


class NoQueue:
    """The queue of a process that drives no run: it never has a job.

    The process that drives runs puts its own queue into Mage's job manager.
    """

    def has_job(self, *args: object, **kwargs: object) -> bool:
        """Say no."""
        return False

    def ignore(self, *args: object, **kwargs: object) -> None:
        """Do nothing."""

    enqueue = kill_job = clean_up_jobs = start = stop = ignore


def _log_to(log: Path) -> None:
    """Give the root logger a file before Mage gives it the terminal (`logging.basicConfig`)."""
    root = logging.getLogger()
    if not any(isinstance(handler, _MageLog) for handler in root.handlers):
        handler = _MageLog(log, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
        handler.setFormatter(_Unwrapped("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root.addHandler(handler)


class _MageLog(logging.handlers.RotatingFileHandler):
    """The log of this process's own part of Mage."""


def check_mage_database() -> None:
    """Make sure, after `prepare`, that Mage's database is sound, if it is a file.

    Raises:
        DamagedFileError: If it is damaged.
    """
    file = file_of(os.environ["MAGE_DATABASE_CONNECTION_URL"])
    if file:
        check_database(file, DATABASE_WAY_OUT)


def _suit_sqlite(engine: Any) -> None:
    """Let several processes use one SQLite file: readers beside a writer, and patience.

    https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_busy_timeout
    """
    from sqlalchemy import event

    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    engine.dispose()


def _migrate(engine: Any) -> None:
    """Run Mage's migrations, only when the database is behind: they take seconds."""
    lock = HomeLock(Path(os.environ["MAGE_DATA_DIR"]) / "migration.lock", "a database migration")
    if _is_behind(engine):
        lock.acquire(wait_seconds=MIGRATION_SECONDS)
        try:
            if _is_behind(engine):
                manager = importlib.import_module("mage_ai.orchestration.db.database_manager")
                manager.database_manager.run_migrations(log_level=logging.WARNING)
        finally:
            lock.release()


def _is_behind(engine: Any) -> bool:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    package = importlib.import_module("mage_ai.orchestration.db")
    configuration = Config()
    configuration.set_main_option(
        "script_location", str(Path(package.__file__ or "").parent / "migrations")
    )
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_heads()
    return set(present) != set(ScriptDirectory.from_config(configuration).get_heads())
