"""What is stored under a home, kind by kind, and whether it can be read: for `mlops doctor`.

Imports stay inside: the image of the online server has neither Mage nor all of MLflow, and looks at
the kinds that it can read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from mlops.counting import counted
from mlops.errors import DamagedFileError, MlopsError
from mlops.records.files import damaged, find_record
from mlops.settings import Settings

# Reads everything of one kind, hands each fault to the function, and says what there is.
Inspection = Callable[[Settings, Callable[[MlopsError], None]], str]


def mage_database(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read every page of Mage's database."""
    from mlops.orchestration.runs.history import DATABASE_WAY_OUT, TABLES

    url = settings.server.database_url or f"sqlite:///{settings.home / 'mage' / 'mage.db'}"
    return _database(url, DATABASE_WAY_OUT, TABLES, fault)


def tracking_database(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read every page of MLflow's database."""
    from mlops.registry.connection import DATABASE_WAY_OUT, TABLES, note_loss

    with _Caught(fault):
        note_loss(settings)
        return _database(settings.tracking_uri, DATABASE_WAY_OUT, TABLES, fault)
    return "damaged"


def promotions(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read who was champion, what is rolled out, and which models may be loaded."""
    from mlops.registry.trail import Trail
    from mlops.registry.trust import all_trusted

    trail = Trail(settings)
    with _Caught(fault):
        trail.rollout()
    known = all_trusted(settings, fault)
    return f"{counted(len(trail.all(fault)), 'promotion')}, {counted(len(known), 'known model')}"


def training_set(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the training set in use, all its parts included."""
    from mlops.data.store.manifests import current_training_set
    from mlops.data.store.publications import PUBLICATION_WAY_OUT, Publication, publication_file

    with _Caught(fault):
        find_record(publication_file(settings), Publication, PUBLICATION_WAY_OUT)
    with _Caught(fault):
        manifest = current_training_set(settings)
        if manifest is None:
            return "none yet; `mlops run` builds it"
        from mlops.data.store.snapshots import verify

        verify(manifest)
        return f"{manifest.sha256[:12]}, {counted(manifest.rows, 'row')}"
    return "damaged"


def journal(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the journal of the last main job, and what waits for approval."""
    from mlops.errors import ConfigurationError
    from mlops.orchestration.jobs.journal import Journal
    from mlops.retraining.records import pending_approval

    with _Caught(fault):
        pending_approval(settings)
    with _Caught(fault):
        try:
            pipelines = Journal.read(settings).finished
            return f"the last main job finished {counted(len(pipelines), 'pipeline')}"
        except ConfigurationError:
            return "no main job yet"
    return "damaged"


def history(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the last verdict, and the records of selections, retrainings and deployments."""
    from mlops.deployment.claim import stored_claim
    from mlops.deployment.records import Records
    from mlops.evaluation.verdict import VERDICT_WAY_OUT, Verdict
    from mlops.registry.selections import all_selections
    from mlops.retraining.records import all_records

    deployments = Records(settings.deployments).all(fault)
    with _Caught(fault):
        stored_claim(settings.deployments)
    with _Caught(fault):
        find_record(settings.last_verdict, Verdict, VERDICT_WAY_OUT)
    selections = all_selections(settings, fault)
    retrainings = all_records(settings, fault)
    return (
        f"{counted(len(selections), 'selection')}, {counted(len(retrainings), 'retraining')}, "
        f"{counted(len(deployments), 'deployment')}"
    )


def backtests(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the latest backtest."""
    from mlops.backtest.results import latest_result

    with _Caught(fault):
        result = latest_result(settings.backtests)
        return f"{counted(len(result.months), 'month')} replayed" if result else "none yet"
    return "damaged"


def monitoring(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read windows, decisions, reference profiles and the server's health at each look."""
    from mlops.monitoring.findings.records import read_decisions, read_windows

    windows = read_windows(settings, whole=0, on_damage=fault)
    decisions = read_decisions(settings, fault)
    profiles = sorted((settings.monitored / "profiles").glob("*.json"))
    for path in profiles:
        from mlops.monitoring.reference.profile import ReferenceProfile

        with _Caught(fault):
            ReferenceProfile.load(path)
    for path in sorted((settings.monitored / "serving").glob("*.json")):
        from mlops.monitoring.windows.serving_snapshots import SNAPSHOT_WAY_OUT, Snapshot

        with _Caught(fault):
            find_record(path, Snapshot, SNAPSHOT_WAY_OUT)
    return (
        f"{counted(len(windows), 'window')}, {counted(len(decisions), 'decision')}, "
        f"{counted(len(profiles), 'profile')}"
    )


def notifications(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the incidents that people were notified of."""
    from mlops.notifications.incidents import reported

    return counted(len(reported(settings, fault)), "incident")


def serving(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the server's state, its keys and every bundle."""
    from mlops.serving.answers.state import read_state
    from mlops.serving.http.keys import read_keys

    keys: tuple[object, ...] = ()
    with _Caught(fault):
        keys = read_keys(settings.served)
    with _Caught(fault):
        read_state(settings.served)
    bundles = sorted((settings.served / "bundles").glob("v*"))
    for bundle in bundles:
        from mlops.serving.model.bundle import read_head

        with _Caught(fault):
            read_head(bundle)
    return f"{counted(len(keys), 'key')}, {counted(len(bundles), 'bundle')}"


def tables(settings: Settings, fault: Callable[[MlopsError], None]) -> str:
    """Read the footer of every parquet file that is kept: answers, predictions, dashboards."""
    import pyarrow.parquet as pq

    number = 0
    for folder, way_out in _TABLES.items():
        for path in sorted((settings.state / folder).rglob("*.parquet")):
            number += 1
            try:
                pq.read_metadata(path)
            except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
                fault(damaged(path, str(error), way_out))
    return f"{number} parquet files"


_TABLES: Final[Mapping[str, str]] = {
    "prediction_log": "restore {path} from a backup, or remove it: the answers in it are lost",
    "predictions": "remove its folder and predict again: mlops predict",
    "observability": "remove {path}: a running mlops up rebuilds it",
}
INSPECTIONS: Final[Mapping[str, Inspection]] = {
    "Mage's history": mage_database,
    "MLflow's versions": tracking_database,
    "promotions": promotions,
    "training set": training_set,
    "journal": journal,
    "records": history,
    "backtests": backtests,
    "monitoring": monitoring,
    "notifications": notifications,
    "serving": serving,
    "tables": tables,
}


def inspect(settings: Settings) -> Iterator[tuple[str, str, list[MlopsError]]]:
    """Yield for each kind its name, what there is of it, and what is damaged.

    A kind that this environment cannot read says so.
    """
    for name, read in INSPECTIONS.items():
        faults: list[MlopsError] = []
        try:
            content = read(settings, faults.append)
        except ImportError as error:
            content = f"not checked, because a package is missing: {error}"
        yield name, content, faults


def disposable(settings: Settings) -> tuple[str, str]:
    """Return how much could be deleted, and the command that does it."""
    folders = (settings.staging, settings.cache, settings.observed)
    sizes = {path: _bytes(path) for path in folders if path.is_dir()}
    megabytes = sum(sizes.values()) / 1e6
    command = "rm -r " + " ".join(str(path) for path in sizes) if sizes else ""
    return f"{megabytes:,.0f} MB of caches", command and f"while nothing is running: {command}"


class _Caught:
    """Hands an `MlopsError` to a function instead of letting it pass."""

    def __init__(self, fault: Callable[[MlopsError], None]) -> None:
        self._fault = fault

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, MlopsError):
            self._fault(error)
            return True
        return False


def _database(
    url: str, way_out: str, tables: Collection[str], fault: Callable[[MlopsError], None]
) -> str:
    from mlops.records.sqlite import check_database, file_of

    file = file_of(url)
    if file is None:
        return "not a file of this machine"
    try:
        check_database(file, way_out, whole=True, tables=tables)
    except DamagedFileError as error:
        fault(error)
        return "damaged"
    return str(file) if file.exists() else "none yet"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
