"""What Prometheus reads: true numbers, nothing old that looks like news, one fault at a time."""

from __future__ import annotations

import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from demo.servers import free_ports
from mlops.data.references import TrainingSetManifest
from mlops.deployment.records import DeploymentRecord, Records, RunKey
from mlops.errors import ConfigurationError
from mlops.monitoring.findings.policy import Champion, Decision
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    write_decision,
    write_window,
)
from mlops.observability.exporter import GROUPS, Page, exporter
from mlops.observability.gauges import gauge, seconds_of
from mlops.observability.memory import Memory
from mlops.observability.observer import look, look_at_all, observe
from mlops.observability.pipeline_metrics import _longest_gap
from mlops.observability.tables import Refreshed
from mlops.observability.world import ObservedWorld
from mlops.retraining.records import PendingApproval, ask_for_approval
from mlops.settings import ObservabilitySettings, Settings, load_settings
from tests.datasets.declared.deliveries import DELIVERIES

NOW = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)


class Told:
    """The samples of a page."""

    def __init__(self, page: Page) -> None:
        registry = CollectorRegistry()
        registry.register(page)
        self.metrics = list(registry.collect())

    def __call__(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample, None if there is none."""
        found = [
            sample.value
            for metric in self.metrics
            for sample in metric.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) < 2, f"{name} has {len(found)} samples with {labels}"
        return found[0] if found else None


def told(world: ObservedWorld, groups: Any = GROUPS, page: Page | None = None) -> Told:
    page = page or Page(groups)
    page.show(Refreshed(world, (), {}, 0.01))
    return Told(page)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_an_empty_home_says_that_there_is_no_champion(settings: Settings) -> None:
    page = told(ObservedWorld(settings))

    assert page("mlops_model_champion_version") == 0
    assert page("mlops_observer_problems") == 0
    assert page("mlops_pipeline_promised_seconds", pipeline="rollback") == 120


def test_names_and_units_follow_prometheus(settings: Settings) -> None:
    for metric in told(ObservedWorld(settings)).metrics:
        assert metric.name.startswith("mlops_") and metric.documentation
        assert not metric.name.endswith(("_total", "_ms", "_seconds_ago"))


def test_pipelines_are_told_by_state_and_time(
    settings: Settings, make_mage: Callable[[Path], Any]
) -> None:
    mage = make_mage(settings.home)
    mage.trigger("batch_inference", "daily", days_ago=3)
    mage.trigger("retraining", "weekly", status="INACTIVE")
    mage.run("batch_inference", minutes_ago=60 * 24 * 90)  # older than the tables look back
    mage.run("retraining", minutes_ago=30, seconds=90)
    mage.run("retraining", "FAILED", minutes_ago=20, seconds=60)
    mage.run("deployment", "RUNNING", minutes_ago=10, seconds=None)
    now = datetime.now(timezone.utc)

    page = told(ObservedWorld(settings))

    assert page("mlops_pipeline_runs", pipeline="retraining", state="failed") == 1
    assert page("mlops_pipeline_runs", pipeline="batch_inference", state="completed") == 1
    assert page("mlops_pipeline_runs", pipeline="batch_inference", state="failed") == 0

    def ago(minutes: float) -> Any:
        return pytest.approx((now - timedelta(minutes=minutes)).timestamp(), abs=60)

    last = "mlops_pipeline_last_{}_timestamp_seconds"
    assert page(last.format("success"), pipeline="retraining") == ago(28.5)
    assert page(last.format("failure"), pipeline="retraining") == ago(19)
    assert page(last.format("success"), pipeline="batch_inference") == ago(60 * 24 * 90)
    assert page("mlops_pipeline_last_duration_seconds", pipeline="retraining") == 90
    running = "mlops_pipeline_running_since_timestamp_seconds"
    assert page(running, pipeline="deployment") == ago(10)
    assert page(running, pipeline="retraining") is None
    # A schedule that is switched off promises nothing.
    interval = "mlops_pipeline_interval_seconds"
    assert page(interval, pipeline="batch_inference") == 86_400
    assert page(interval, pipeline="retraining") is None
    since = "mlops_pipeline_scheduled_since_timestamp_seconds"
    assert page(since, pipeline="batch_inference") == ago(60 * 24 * 3)


def test_an_interval_is_the_longest_that_a_schedule_ever_waits() -> None:
    assert _longest_gap("0 6 * * *") == timedelta(days=1)
    assert _longest_gap("0 6 * * 1-5") == timedelta(days=3)
    assert _longest_gap("0 1 * * 1") == timedelta(days=7)


def test_products_are_told_by_when_they_were_published_even_if_damaged(settings: Settings) -> None:
    pointer = settings.store / "training_sets" / "current"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("none such")

    page = told(ObservedWorld(settings))

    name = "mlops_data_product_published_timestamp_seconds"
    assert page(name, product="training_set") == pytest.approx(pointer.stat().st_mtime)
    assert page(name, product="route_statistics") is None
    assert page("mlops_data_product_rows") is None
    assert page("mlops_observer_problem", part="training set") == 1
    assert page("mlops_observer_problems") == 1


def test_the_training_set_is_told_with_its_quality(
    settings: Settings, make_manifest: Callable[[int], TrainingSetManifest]
) -> None:
    manifest = make_manifest(270)
    counts = {"rows_read": 300, "rows_quarantined": 30, "bad_share": 0.1}
    quality = manifest.quality.model_copy(update=counts)
    manifest = manifest.model_copy(update={"quality": quality})

    page = told(ObservedWorld(settings, training_set=manifest), {"state": GROUPS["training set"]})

    names = ("rows", "refused_rows", "refused_share", "synthetic")
    of = [page(f"mlops_data_product_{name}", product="training_set") for name in names]
    assert of == [270, 30, 0.1, 1]
    until = page("mlops_data_product_until_timestamp_seconds")
    assert until == datetime(2024, 2, 1, 5, tzinfo=timezone.utc).timestamp()  # New York's midnight


def test_times_are_told_by_the_clock_of_a_dataset_however_its_rows_are_split(
    tmp_path: Path,
    declare: Callable[[str], Path],
    make_manifest: Callable[[int], TrainingSetManifest],
) -> None:
    table = yaml.safe_load(DELIVERIES) | {"split": {"by": "random", "validation": 0.2, "test": 0.2}}
    declare(yaml.safe_dump(table))
    settings = load_settings({"home": tmp_path / "home", "dataset": "deliveries"})
    world = ObservedWorld(settings, training_set=make_manifest(270))

    page = told(world, {"state": GROUPS["training set"]})

    until = page("mlops_data_product_until_timestamp_seconds")
    assert until == datetime(2024, 1, 31, 23, tzinfo=timezone.utc).timestamp()  # Rome's midnight


def test_the_champion_is_told_with_its_evidence(
    settings: Settings, make_champion: Callable[[Path], None]
) -> None:
    make_champion(settings.home)
    world = ObservedWorld(settings)
    assert world.champion and world.champion.evaluation

    page = told(world)

    assert page("mlops_model_champion_version") == 1
    assert page("mlops_model_champion_info", version="1", family="squared_error") == 1
    rmse = world.champion.evaluation.metrics.rmse
    assert page("mlops_model_offline_rmse_minutes") == rmse
    assert page("mlops_model_offline_coverage") is None  # it has no evaluated interval
    until = page("mlops_model_champion_learned_until_timestamp_seconds")
    assert until == datetime(2024, 2, 1, 5, tzinfo=timezone.utc).timestamp()  # New York's midnight
    assert page("mlops_model_gate_verdicts", verdict="passed") == 1
    # No window yet: nothing is said of what is not known.
    assert page("mlops_model_windows") == 0 and page("mlops_model_live_rmse_minutes") is None


def monitored(settings: Settings, *windows: WindowRecord) -> Told:
    for window in windows:
        write_window(settings, window)
    champion = type("Version", (), {"version": 3, "aliases": ("champion",)})()
    world = ObservedWorld(settings, versions=(champion,))
    groups = {name: GROUPS[name] for name in ("windows", "decisions")}
    return told(world, groups)


def test_windows_are_told_by_the_latest_where_each_kind_could_be_judged(
    settings: Settings, make_window: Callable[..., WindowRecord]
) -> None:
    page = monitored(
        settings,
        make_window(0, quiet=("drift", "performance")),
        make_window(1, "performance", quiet=("drift",)),
        make_window(2, "drift", "performance"),
        make_window(3, "drift", quiet=()),  # its trips have not ended
        make_window(4, "quality", version=2),  # not the champion's
    )

    assert page("mlops_model_windows") == 4
    alarms = {"drift": 1, "performance": 1, "quality": 0, "skew": 0}
    for kind, many in alarms.items():
        assert page("mlops_model_alarms", kind=kind) == many
    since = "mlops_model_alarm_since_timestamp_seconds"
    first = datetime(2024, 3, 1, tzinfo=timezone.utc)
    assert page(since, kind="drift") == (first + timedelta(hours=2)).timestamp()
    assert page(since, kind="performance") == (first + timedelta(hours=1)).timestamp()
    assert page(since, kind="quality") is None
    assert page("mlops_model_alarm_windows", kind="performance") == 2
    names = ("", "_lower", "_upper", "_limit", "_expected")
    live = [page(f"mlops_model_live_rmse{name}_minutes") for name in names]
    assert live == [5.0, 3.5, 4.5, 4.5, 4.0]
    assert page("mlops_model_drift_psi", feature="drift subject") == 5.0
    assert page("mlops_model_drift_psi_limit", feature="drift subject") == 4.5
    assert page("mlops_model_window_trips", trips="answered") == 5_000
    assert page("mlops_model_labelled_share") == pytest.approx(3 * 4_900 / 20_000)
    until = page("mlops_model_served_until_timestamp_seconds")
    assert until == (first + timedelta(hours=4)).timestamp()


def test_a_decision_is_told_with_what_came_of_it(settings: Settings) -> None:
    decision = Decision(
        step="warn",
        at=NOW,
        reasons=("drift",),
        held_back="retrain",
        champion=Champion(version="3", promoted_at=NOW),
        windows=(),
    )
    record = DecisionRecord(decision=decision, problem="no server")
    write_decision(settings, record)

    page = monitored(settings)

    assert page("mlops_model_last_decision_timestamp_seconds") == NOW.timestamp()
    assert page("mlops_model_last_monitoring_timestamp_seconds") == NOW.timestamp()
    steps = [page("mlops_model_decision", step=step) for step in ("ok", "warn", "retrain")]
    assert steps == [0, 1, 0]
    assert page("mlops_model_decision_held_back", step="retrain") == 1
    assert page("mlops_model_decision_problem") == 1

    # when nothing is new for a week, monitoring is not taken for one that stands still
    later = NOW + timedelta(days=7)
    write_decision(settings, record.model_copy(update={"confirmed_at": later}))
    page = monitored(settings)
    assert page("mlops_model_last_decision_timestamp_seconds") == NOW.timestamp()
    assert page("mlops_model_last_monitoring_timestamp_seconds") == later.timestamp()


def test_deployments_are_told_by_outcome_and_what_goes_on_since_when(settings: Settings) -> None:
    records = Records(settings.deployments)

    def record(number: int) -> DeploymentRecord:
        return DeploymentRecord(
            id=f"2024030{number}T000000-v{number}",
            kind="deployment",
            version=number,
            from_version=None,
            asked="challenger",
            by="ann",
            reason="better",
            run=RunKey(),
            started_at=NOW + timedelta(days=number),
        )

    records.save(record(1).after("artifact_failed", "it answers NaN"))
    records.save(record(2).after("artifact_passed", "fine"))
    approval = PendingApproval(version=4, reason="r", verdict="v", run_id=1, requested_at=NOW)
    ask_for_approval(settings, approval)

    page = told(ObservedWorld(settings), {"deployments": GROUPS["deployments"]})

    assert page("mlops_model_deployments", kind="deployment", outcome="refused") == 1
    assert page("mlops_model_deployments", kind="rollback", outcome="kept") == 0
    last = "mlops_model_last_deployment_timestamp_seconds"
    assert page(last, version="1", outcome="refused") is not None
    running = "mlops_model_deployment_running_since_timestamp_seconds"
    assert page(running, version="2", state="watching") == (NOW + timedelta(days=2)).timestamp()
    waiting = "mlops_model_approval_waiting_since_timestamp_seconds"
    assert page(waiting, version="4") == NOW.timestamp()


def test_what_cannot_be_read_is_left_out_and_said_and_costs_no_other(settings: Settings) -> None:
    works = True

    def shaky(world: ObservedWorld) -> list[Metric]:
        if not works:
            raise OSError("gone")
        return [gauge("mlops_shaky", "", [({}, 1)])]

    def steady(world: ObservedWorld) -> list[Metric]:
        return [gauge("mlops_steady", "", [({}, 2)])]

    page = Page({"shaky": shaky, "steady": steady})
    assert told(ObservedWorld(settings), page=page)("mlops_shaky") == 1
    works = False
    # Nothing it was made from has changed: it is not even made again.
    assert told(ObservedWorld(settings), page=page)("mlops_shaky") == 1
    page = Page({"shaky": shaky, "steady": steady})
    after = told(ObservedWorld(settings), page=page)
    assert after("mlops_shaky") is None and after("mlops_steady") == 2
    assert after("mlops_observer_problems") == 1
    assert after("mlops_observer_problem", part="shaky") == 1


def test_it_serves_metrics_alone_and_names_the_setting_of_a_taken_port(settings: Settings) -> None:
    own = ObservabilitySettings(metrics_port=free_ports(1)[0], refresh_seconds=1)
    settings = settings.model_copy(update={"observability": own})
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=observe, args=(settings, stop, ready.set), daemon=True)
    thread.start()
    assert ready.wait(60)
    url = f"http://127.0.0.1:{own.metrics_port}"
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/", timeout=30)

    with pytest.raises(ConfigurationError, match=r"observability\.metrics_port: .*in use"):
        exporter(settings, Page())
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert {"mlops_model_champion_version", "mlops_observer_problems"} <= {f.name for f in families}


def test_a_look_that_fails_altogether_leaves_what_was_seen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, memory = Page(), Memory()
    look(settings, page, memory)
    before = page._shown

    monkeypatch.setattr("mlops.observability.observer.refresh", lambda *_: 1 / 0)

    assert not look(settings, page, memory)
    assert page._shown is before


def test_what_could_not_be_made_is_tried_again_soon_however_rare_the_usual_look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rarely = ObservabilitySettings(metrics_port=free_ports(1)[0], refresh_seconds=3600)
    looks: list[float] = []

    def look_in_vain(*_: object) -> bool:
        looks.append(time.monotonic())
        if len(looks) == 3:
            stop.set()
        return False

    stop = threading.Event()
    monkeypatch.setattr("mlops.observability.observer.SOON_SECONDS", 0.01)
    monkeypatch.setattr("mlops.observability.observer.look", look_in_vain)

    observe(settings.model_copy(update={"observability": rarely}), stop)

    assert len(looks) == 3


def test_while_mage_still_makes_its_tables_nothing_ran(settings: Settings) -> None:
    (settings.home / "mage").mkdir(parents=True)
    with sqlite3.connect(settings.home / "mage" / "mage.db") as connection:
        connection.execute("create table pipeline_run (id integer primary key)")

    assert look(settings, Page(), Memory())


def test_moments_without_a_zone_are_utc() -> None:
    assert seconds_of(NOW.replace(tzinfo=None)) == seconds_of(NOW) == NOW.timestamp()
    assert seconds_of(None) is None


def test_every_dataset_in_the_home_has_tables_and_one_has_metrics(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    flights = load_settings({"home": str(tmp_path), "dataset": "flights"})
    flights.state.mkdir(parents=True)
    page, memories = Page(), defaultdict[str, Memory](Memory)

    look_at_all(settings, page, memories)

    assert set(memories) == {"taxi", "flights"}
    for each in (settings, flights):
        assert {file.stem for file in each.observed.glob("*.parquet")} >= {"volume", "candidates"}
    refreshes = [m for m in page.collect() if m.name == "mlops_observer_refresh_seconds"]
    assert len(refreshes) == 1
