"""What a person sees after `mlops up`: a sign-in, pipelines and triggers, a playground, MLflow."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.cli.pipelines import pipeline_names
from mlops.orchestration.triggers import TRIGGERS
from mlops.settings import PROJECT_ROOT

pytestmark = [pytest.mark.browser, pytest.mark.mage]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "a-password-for-tests-only"
TRIP = ("74 East Harlem North, Manhattan", "132 JFK Airport, Queens", "17.5")
PIPELINES = pipeline_names()
PATIENCE = 30_000  # milliseconds until an element must be there


@dataclass(frozen=True)
class Server:
    """Where `mlops up` answers, and what it printed."""

    mage: str
    mlflow: str
    output: Path


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Tell whether a server answers at all."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, make_champion: Callable[[Path], None]
) -> Iterator[Server]:
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package chromium")
    folder = tmp_path_factory.mktemp("up")
    make_champion(folder / "home")
    mage, mlflow, metrics = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "MLOPS_HOME": str(folder / "home"),
        "MLOPS_SERVER__MAGE_PORT": str(mage),
        "MLOPS_SERVER__MLFLOW_PORT": str(mlflow),
        "MLOPS_OBSERVABILITY__METRICS_PORT": str(metrics),
        "MLOPS_OWNER_PASSWORD": PASSWORD,
        "MLOPS_SERVER__SCHEDULER_INTERVAL_SECONDS": "1",
    }
    found = Server(f"http://127.0.0.1:{mage}", f"http://127.0.0.1:{mlflow}", folder / "output")
    with found.output.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "up"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 120
            while not (answers(found.mage) and answers(found.mlflow)):
                assert process.poll() is None, found.output.read_text()
                assert time.monotonic() < deadline, found.output.read_text()
                time.sleep(0.5)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Any]:
    """A signed-in browser page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(server.mage)
        page.fill('input[type="email"], input[placeholder="Email"]', "owner@mlops.local")
        page.fill('input[type="password"]', PASSWORD)
        page.click('button:has-text("Sign into Mage")')
        page.wait_for_url(lambda url: "sign-in" not in url)
        yield page
        browser.close()


def test_nobody_enters_without_signing_in(server: Server) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{server.mage}/pipelines")

        page.wait_for_selector('button:has-text("Sign into Mage")', timeout=PATIENCE)
        assert not page.get_by_text("model_selection").count()
        browser.close()


def test_every_pipeline_is_listed_with_what_it_does(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines")

    for name in PIPELINES:
        page.get_by_text(name, exact=True).first.wait_for()
        pipeline = yaml.safe_load((PROJECT_ROOT / "pipelines" / name / "metadata.yaml").read_text())
        page.get_by_text(pipeline["description"]).first.wait_for()
        for tag in pipeline["tags"]:
            page.get_by_text(tag, exact=True).first.wait_for()


def test_the_editor_shows_the_dynamic_fan_out(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/sklearn_training/edit")

    for name in ("load_models", "tune_and_train", "collect_candidates"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("Dynamic", exact=True).first.wait_for()


def test_each_pipeline_says_how_to_run_it(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/deployment/edit")

    page.get_by_role("heading", name="deployment", exact=True).wait_for()
    page.get_by_text("watched while it does").first.wait_for()
    page.get_by_text("mlops pipeline run deployment").first.wait_for()


def test_triggers_are_listed_as_in_code(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/retraining/triggers")

    for trigger in (t for t in TRIGGERS if t.pipeline == "retraining"):
        row = page.get_by_role("row").filter(has=page.get_by_text(trigger.name, exact=True))
        row.first.wait_for()
        if trigger.cron:
            row.get_by_text(trigger.cron).first.wait_for()


def test_a_trip_in_the_playground_is_answered_in_words(server: Server, page: Any) -> None:
    before = written_files()
    start, end, miles = TRIP

    # When a person fills in the form
    page.goto(f"{server.mage}/pipelines/predict/triggers")
    page.get_by_text("Create trigger with no-code").click()
    page.get_by_text("This pipeline will run continuously").click()
    page.get_by_placeholder("Name this trigger").fill("to the airport")
    page.locator("select").first.select_option("@once")
    page.get_by_role("button", name="Next: Customize").click()
    page.get_by_text("Taxi zone of the pickup").wait_for()
    page.locator("select").nth(0).select_option(label=start)
    page.locator("select").nth(1).select_option(label=end)
    page.locator("input").nth(0).fill(miles)
    page.get_by_role("button", name="Next: Review").click()
    page.get_by_role("button", name="Create trigger").click()
    page.get_by_text("inactive", exact=True).first.wait_for()  # it is loaded: it can be enabled
    page.get_by_role("button", name="Enable trigger").click()
    # By its text alone it would also be an option of a filter.
    page.locator("text=/^Done$/ >> visible=true").first.wait_for(timeout=2 * PATIENCE)

    # Then the run's log says how long the trip takes, and why
    page.goto(f"{server.mage}/pipelines/predict/logs")
    page.get_by_text(f"from {start} to {end}, {miles} miles").first.wait_for()
    page.get_by_text("minutes on average: the ").first.wait_for()
    # And nothing of it was written into the project.
    assert written_files() == before


def written_files() -> dict[str, bytes]:
    """What the editor could have written."""
    folders = ("pipelines", "interactions", "markdowns")
    paths = (path for folder in folders for path in (PROJECT_ROOT / folder).rglob("*.*"))
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def test_both_data_products_are_listed(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/global-data-products")

    for name in ("training_set", "route_statistics"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_mlflow_shows_the_experiment(server: Server, page: Any) -> None:
    page.goto(f"{server.mlflow}/#/experiments")

    page.get_by_text("trip-duration").first.wait_for()
