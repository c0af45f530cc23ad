"""What a person sees after `mlops up`: a sign-in, the project's pipelines, MLflow's pages."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package chromium")
    folder = tmp_path_factory.mktemp("up")
    mage, mlflow = free_port(), free_port()
    environment = {
        **os.environ,
        "MLOPS_HOME": str(folder / "home"),
        "MLOPS_SERVER__MAGE_PORT": str(mage),
        "MLOPS_SERVER__MLFLOW_PORT": str(mlflow),
        "MLOPS_OWNER_PASSWORD": PASSWORD,
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

    for name in ("data_preparation", "sklearn_training", "model_selection", "batch_inference"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("let the gate judge").first.wait_for()


def test_the_editor_shows_the_dynamic_fan_out(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/sklearn_training/edit")

    for name in ("load_models", "tune_and_train", "collect_candidates"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("Dynamic", exact=True).first.wait_for()


def test_both_data_products_are_listed(server: Server, page: Any) -> None:
    page.goto(f"{server.mage}/global-data-products")

    for name in ("training_set", "route_statistics"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_mlflow_shows_the_experiment(server: Server, page: Any) -> None:
    page.goto(f"{server.mlflow}/#/experiments")

    page.get_by_text("trip-duration").first.wait_for()
