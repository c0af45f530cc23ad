"""A registry with real little models, copied per test, and a world that says what it is told."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from demo import servers
from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.trips import TARGET
from mlops.deployment.checks import none_of, verdict
from mlops.deployment.claim import Claim, Claims
from mlops.deployment.ledger import Asked, Ledger
from mlops.deployment.process import Deployer
from mlops.deployment.records import DeploymentRecord, Records, RunKey
from mlops.deployment.rollback import Rollback
from mlops.errors import MlopsError
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.registry import catalogue
from mlops.registry.receipts import Receipt, collect_receipt
from mlops.registry.rollout import Rollout
from mlops.registry.tracking import log_candidate
from mlops.registry.trail import Trail
from mlops.registry.versions import Registry
from mlops.settings import FeatureSettings, Settings
from mlops.training.artifact import TabularModel

GOOD = (1, 2, 3)  # versions that passed the gate
REFUSED = 4
BY_HAND = 5  # registered without receipt and verdict
WITH_GAPS = 6  # its receipt does not say which code made it


def judged(passed: bool, why: str = "as told") -> Verdict:
    """A verdict that passes or not."""
    return verdict([none_of("told", 0 if passed else 1, why)], why)


def _model(trips: pd.DataFrame, rounds: int) -> TabularModel:
    settings = FeatureSettings()
    known = pd.concat([trips, RouteHistory(settings).annotate(trips)], axis=1)
    statistics = RouteStatistics.of(trips, datetime(2024, 2, 1), settings)
    params = {"rounds": rounds}
    model = TabularModel.fit(
        "squared_error", params, known, FeatureEncoder(statistics), TARGET, seed=1, threads=1
    )
    return model.with_residual_interval(model, known)


def _manifest() -> TrainingSetManifest:
    window = Window(start=datetime(2024, 1, 1), end=datetime(2024, 2, 1), rows=3)
    return TrainingSetManifest(
        sha256="cd" * 32,
        uri="/store/training_sets/cdcd",
        rows=9,
        columns={"pickup_at": "datetime64[us]"},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="sample", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=9, rows_kept=9, rows_quarantined=0, bad_share=0, rules=(), quarantine_uri=None
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=datetime(2024, 3, 1),
    )


@pytest.fixture(scope="session")
def stocked(
    tmp_path_factory: pytest.TempPathFactory, sample_history: Callable[..., pd.DataFrame]
) -> Settings:
    """A home whose registry has versions of every kind, none of them champion."""
    settings = Settings(home=tmp_path_factory.mktemp("stocked"))
    registry = Registry(settings)
    trips = sample_history("2024-01", rows=1_500)
    manifest = _manifest()
    receipt = collect_receipt(manifest, "squared_error", {}, settings, {})
    receipt = receipt.model_copy(update={"code_commit": "c0ffee"})
    metrics = regression_metrics([10, 20, 30], [11, 19, 33])
    evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)

    def log(rounds: int, of: Receipt) -> str:
        return log_candidate(
            settings,
            manifest=manifest,
            model=_model(trips, rounds),
            metrics=metrics,
            receipt=of,
            stage="refit",
        )

    for version in (*GOOD, REFUSED):
        registry.register(
            log(5 + 5 * version, receipt), receipt, evaluation, judged(version != REFUSED)
        )
    client, name = registry._client, settings.tracking.model_name
    source = registry.get(1).source  # type: ignore[union-attr]
    client.create_model_version(name, source)
    gaps = receipt.model_copy(update={"code_commit": "unknown"})
    registry.register(log(3, gaps), gaps, evaluation, judged(True))
    client.delete_registered_model_alias(name, "challenger")
    return settings


@pytest.fixture(scope="session")
def with_champion(stocked: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same home with version 1 as champion."""
    settings = copy_of(stocked, tmp_path_factory.mktemp("with_champion"))
    Registry(settings).promote(1, "the first", "test")
    return settings


@pytest.fixture
def home(stocked: Settings, tmp_path: Path) -> Settings:
    """A home of the test's own, with the same versions."""
    return copy_of(stocked, tmp_path)


def copy_of(stocked: Settings, folder: Path) -> Settings:
    """Copy the registry and what the home knows of it; the artifacts stay where they are."""
    database = folder / "home" / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    shutil.copy(stocked.home / "mlflow" / "mlflow.db", database)
    shutil.copytree(stocked.registry, folder / "home" / "registry")
    return Settings(home=folder / "home")


@dataclass
class ToldWorld:
    """Says what it is told, and starts and ends rollouts as the real one does."""

    artifact_passes: bool = True
    rollout_passes: bool | None = True  # None: there is no server
    smoke_passes: bool | None = True
    told: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Any] = lambda: None  # called while a rollout is in force

    def artifact(self, registry: Registry, version: int) -> Verdict:
        return judged(self.artifact_passes)

    def rollout(
        self,
        registry: Registry,
        record: DeploymentRecord,
        champion: int,
        mode: Any,
        still_ours: Callable[[], None],
    ) -> Verdict | str:
        if mode == "shadow":
            return "no shadow"
        if self.rollout_passes is None:
            return "no server"
        start = datetime.now(timezone.utc)
        registry.start_rollout(
            Rollout(
                deployment=record.id,
                version=record.version,
                mode=mode,
                percent=10,
                started_at=start,
                expires_at=start + timedelta(hours=1),
                by=record.by,
                reason=record.reason,
            )
        )
        self.meanwhile()
        still_ours()
        registry.end_rollout()
        return judged(self.rollout_passes)

    def smoke(
        self, registry: Registry, record: DeploymentRecord, still_ours: Callable[[], None]
    ) -> Verdict | str:
        return "no server" if self.smoke_passes is None else judged(self.smoke_passes)

    def tell(self, record: DeploymentRecord) -> None:
        self.told.append(record.state)


@dataclass
class Office:
    """Where deployments are carried out: each run by a process that may die."""

    settings: Settings
    world: ToldWorld = field(default_factory=ToldWorld)
    dead: set[str] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def ledger(self) -> Ledger:
        folder = self.settings.deployments
        return Ledger(Registry(self.settings), Records(folder), Claims(folder, self.is_alive))

    def is_alive(self, claim: Claim) -> bool:
        return claim.run.id not in self.dead

    def new_run(self) -> str:
        return str(next(self.numbers))

    def deploy(self, version: int | str, run: str | None = None) -> DeploymentRecord:
        """Carry a deployment out, or go on with the one of a run."""
        run = run or self.new_run()
        deployer = Deployer(self.ledger(), self.world)
        asked = Asked(what=str(version), by="ann", reason="to see", run=RunKey(id=run))
        self.dead.discard(run)
        try:
            id_ = deployer.open(asked).id
            for step in (
                deployer.test_artifact,
                deployer.watch,
                deployer.promote,
                deployer.smoke_test,
                deployer.keep_or_roll_back,
            ):
                record = step(id_)
            return record
        finally:
            self.dead.add(run)

    def roll_back(self, to: int | None = None, run: str | None = None) -> DeploymentRecord:
        """Carry a rollback out, or go on with the one of a run."""
        run = run or self.new_run()
        rollback = Rollback(self.ledger(), self.world)
        asked = Asked(what=str(to), by="bob", reason="complaints", run=RunKey(id=run))
        self.dead.discard(run)
        try:
            id_ = rollback.take_over(asked, to).id
            for step in (rollback.restore, rollback.smoke_test, rollback.keep_or_roll_back):
                record = step(id_)
            return record
        finally:
            self.dead.add(run)

    @property
    def champion(self) -> int | None:
        return self.ledger().champion()

    @property
    def previous(self) -> int | None:
        info = Registry(self.settings).previous()
        return info.version if info else None

    def record(self) -> DeploymentRecord:
        """The newest record."""
        return Records(self.settings.deployments).all()[0]


@pytest.fixture
def office(home: Settings) -> Office:
    """Nothing was deployed yet."""
    return Office(home)


@pytest.fixture
def running(with_champion: Settings, tmp_path: Path) -> Office:
    """Version 1 is champion."""
    return Office(copy_of(with_champion, tmp_path))


REGISTRY_WRITES = (
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)


class Crash(BaseException):
    """Stands for a killed process: no `except Exception` may survive it."""


class Mortal:
    """A registry's client that dies with its process."""

    def __init__(self, client: Any, spend: Callable[[], None]) -> None:
        self._client, self._spend = client, spend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in REGISTRY_WRITES:
            return found

        def write(*arguments: Any) -> Any:
            self._spend()
            return found(*arguments)

        return write


@contextmanager
def dying_after(writes: int) -> Iterator[None]:
    """Let the process die before its next write after so many: of registry, record or claim."""
    left = writes

    def spend() -> None:
        nonlocal left
        if not left:
            raise Crash
        left -= 1

    def mortal(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            spend()
            return write(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        connect = catalogue.connect
        patch.setattr(catalogue, "connect", lambda settings: Mortal(connect(settings), spend))
        for kind, name in (
            *((Records, "save"), (Claims, "take"), (Claims, "release")),
            *((Trail, "append"), (Trail, "start_rollout"), (Trail, "end_rollout")),
        ):
            patch.setattr(kind, name, mortal(getattr(kind, name)))
        yield


def crashed(work: Callable[[], Any], writes: int) -> bool:
    """Do work that dies after so many writes; whether it died before its end."""
    try:
        with dying_after(writes):
            work()
    except Crash:
        return True
    except MlopsError:
        return False
    return False


@pytest.fixture(scope="session")
def makers() -> SimpleNamespace:
    """What tests make things with."""
    return SimpleNamespace(
        Office=Office,
        ToldWorld=ToldWorld,
        copy_of=copy_of,
        judged=judged,
        GOOD=GOOD,
        Crash=Crash,
        crashed=crashed,
        dying_after=dying_after,
    )


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], tuple[int, ...]]:
    """Return a finder of ports nobody listens on."""
    return servers.free_ports
