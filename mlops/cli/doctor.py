"""`mlops doctor`: is this machine fit to run the project, and if not, what to do."""

import importlib.metadata
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from mlops.cli import stored
from mlops.cli.display import show_rows
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.data.locations import require_there
from mlops.errors import MlopsError, cause_of
from mlops.settings import PROJECT_ROOT, Settings

MIN_DISK_GB = 2.0
# Packages whose exact version decides whether stored models and runs stay readable.
VITAL = ("mage-ai", "mlflow", "scikit-learn", "xgboost-cpu", "pandas", "numpy", "pyarrow")


@dataclass(frozen=True)
class Check:
    """The finding of one check."""

    check: str
    result: Literal["ok", "warn", "fail"]
    details: str
    what_to_do: str = ""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "doctor",
        epilog=examples(
            "mlops doctor",
            "mlops doctor --json",
            "mlops doctor --set source.kind=tlc",
        ),
    )(doctor)


def doctor(set_: SetOption = None, as_json: AsJson = False) -> None:
    """Check versions, ports, write access, disk, data and databases; exit 1 if one fails."""
    settings = settings_from(set_)
    found = list(run_checks(settings))
    show_rows([asdict(check) for check in found], as_json=as_json, title="mlops doctor")
    if any(check.result == "fail" for check in found):
        raise typer.Exit(1)


def run_checks(settings: Settings) -> Iterator[Check]:
    """Run every check; a check that raises is a failed check, not the end of the others."""
    checks: tuple[Callable[[Settings], Check], ...] = (
        check_python,
        check_packages,
        check_home,
        check_disk,
        check_source,
        check_mage_database,
        check_tracking,
        check_champion,
    )
    for check in checks:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            yield check(settings)
        except MlopsError as error:
            yield Check(name, "fail", error.message, error.hint)
        except Exception as error:
            yield Check(name, "fail", f"{type(error).__name__}: {error}", "see the message")
    yield from check_ports(settings)
    yield from check_stored(settings)


def check_stored(settings: Settings) -> Iterator[Check]:
    """Everything under the home can be read; what cannot be, can be restored or made again."""
    for name, content, faults in stored.inspect(settings):
        if not faults:
            yield Check(name, "ok", content)
        yield from (Check(name, "fail", fault.message, fault.hint) for fault in faults)
    content, command = stored.disposable(settings)
    yield Check("space", "ok", content, command)


def check_python(_: Settings) -> Check:
    """Python is one that mage-ai supports."""
    version = platform.python_version()
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Check("python", "ok", version)
    return Check("python", "fail", version, "use Python 3.10, 3.11 or 3.12: make PYTHON=python3.11")


def check_packages(_: Settings) -> Check:
    """The vital packages have the versions of the lock file."""
    # The online server's image has a lock of its own, without Mage.
    kind = "runtime" if installed("mage-ai") else "serving"
    lock = PROJECT_ROOT / "requirements" / f"{kind}.txt"
    if not lock.exists():
        return Check("packages", "warn", f"there is no {lock} to compare with")
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text("utf-8"), re.M))
    vital = {name: locked[name] for name in VITAL if name in locked}
    wrong = [
        f"{name} {installed(name) or 'is missing'} (locked {version})"
        for name, version in vital.items()
        if installed(name) != version
    ]
    if wrong:
        return Check("packages", "fail", ", ".join(wrong), "run: make clean, then make run")
    return Check("packages", "ok", f"{len(vital)} key packages match {lock.name}")


def installed(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_home(settings: Settings) -> Check:
    """The home can be written."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        return Check(
            "home",
            "fail",
            f"{settings.home}: {cause_of(error)}",
            "set MLOPS_HOME to a folder you can write",
        )
    return Check("home", "ok", str(settings.home))


def check_disk(settings: Settings) -> Check:
    """There is room for data, models and logs."""
    existing = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < MIN_DISK_GB:
        return Check(
            "disk", "fail", f"{free:.1f} GB free", f"free {MIN_DISK_GB:g} GB, or move MLOPS_HOME"
        )
    return Check("disk", "ok", f"{free:.0f} GB free")


def check_ports(settings: Settings) -> Iterator[Check]:
    """Every port that a server would use is free."""
    server, serving, observability = settings.server, settings.serving, settings.observability
    up, serve = "mlops up", "mlops serve"
    for name, host, port, setting, command in (
        ("Mage's port", server.host, server.mage_port, "server.mage_port", up),
        ("MLflow's port", "127.0.0.1", server.mlflow_port, "server.mlflow_port", up),
        (
            *("metrics port", observability.metrics_host, observability.metrics_port),
            *("observability.metrics_port", up),
        ),
        ("serving port", serving.host, serving.port, "serving.port", serve),
        (
            *("serving metrics port", serving.metrics_host, serving.metrics_port),
            *("serving.metrics_port", serve),
        ),
    ):
        if command == serve or installed("mage-ai"):
            yield _port(name, host, port, setting, command)


def _port(name: str, host: str, port: int, setting: str, command: str) -> Check:
    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            taken = probe.connect_ex(("127.0.0.1" if host in ("", "0.0.0.0") else host, port)) == 0
        except OSError as error:
            return Check(name, "fail", f"{host}: {error}", f"check the host next to {setting}")
    if taken:
        way_out = f"if another program uses it: {command} --set {setting}={port + 1}"
        return Check(name, "warn", f"{port} is taken", way_out)
    return Check(name, "ok", f"{port} is free")


def check_source(settings: Settings) -> Check:
    """The configured source can be reached."""
    source = settings.source
    if source.kind == "sample":
        return Check("source", "ok", "bundled sample (synthetic)")
    if source.kind == "path":
        try:
            require_there(source.location, source.series, months=())
        except MlopsError as error:
            return Check("source", "fail", error.message, error.hint)
        return Check("source", "ok", source.location)
    import requests

    url = f"{source.base_url}/{source.series}_tripdata_{source.month_list[-1]}.parquet"
    try:
        status = requests.head(url, timeout=source.timeout_seconds).status_code
    except requests.RequestException as error:
        return Check(
            "source", "fail", f"{url}: {type(error).__name__}", "check the network, or use a path"
        )
    if status != 200:
        return Check("source", "fail", f"{url}: HTTP {status}", "ask for an earlier month")
    return Check("source", "ok", url)


def check_mage_database(settings: Settings) -> Check:
    """Mage's database answers."""
    return _database("Mage's database", settings.server.database_url, "server.database_url")


def check_tracking(settings: Settings) -> Check:
    """MLflow's backend answers."""
    uri = settings.tracking.uri
    if not uri.startswith("http"):
        return _database("tracking", uri, "tracking.uri")
    import requests

    try:
        requests.get(f"{uri}/health", timeout=5).raise_for_status()
    except requests.RequestException as error:
        return Check(
            "tracking",
            "fail",
            f"{uri}: {type(error).__name__}",
            "start the MLflow server, or correct tracking.uri",
        )
    return Check("tracking", "ok", uri)


def _database(name: str, url: str, setting: str) -> Check:
    """Ask a database server; what is in a file, `check_stored` reads."""
    if not url:
        return Check(name, "ok", "SQLite under the home")
    if url.startswith("sqlite:"):
        return Check(name, "ok", url)
    import sqlalchemy

    shown = re.sub(r"//.*@", "//***@", url)
    try:
        engine = sqlalchemy.create_engine(url)
        shown = engine.url.render_as_string(hide_password=True)
        with engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        way_out = f"check {setting}, the server, and that the password is URL-encoded"
        return Check(name, "fail", f"{shown}: {str(error).splitlines()[0]}", way_out)
    return Check(
        name, "ok", shown if tables else f"{shown}: empty; it is filled at the first start"
    )


def check_champion(settings: Settings) -> Check:
    """The alias in MLflow names our champion, and its model can be loaded."""
    from mlops.registry.lookup import champion_trouble
    from mlops.registry.standing import look_up

    standing = look_up(settings)
    if standing is None:
        return Check("champion", "warn", "the registry cannot be read", "see: mlops models")
    if trouble := champion_trouble(settings):
        return Check("champion", "warn", trouble.message, trouble.hint)
    number = standing.number("champion")
    return Check("champion", "ok", f"version {number}" if number else "none yet")
