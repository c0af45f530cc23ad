"""One `mlops up` on a home with a past, and one signed-in browser, for each file of this folder.

Neither outlives the file: another folder's tests may come next, and start a browser of their own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.servers import free_ports
from mlops.observability.tables import TABLES
from mlops.settings import PROJECT_ROOT, Settings, load_settings

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
# What Mage says of a chart that has nothing to show, has failed, or still loads.
BARE = re.compile("Chart hasn’t been configured|Loading …")


@dataclass(frozen=True)
class Server:
    """Where `mlops up` answers, what it works on, and what it printed."""

    mage: str
    mlflow: str
    settings: Settings
    output: Path


@dataclass(frozen=True)
class Workshop:
    """A project that may be changed: its folder, Mage's address, and a signed-in page."""

    project: Path
    mage: str
    page: Any

    def changed(self) -> str:
        """What git says is not as it was."""
        command = ["git", "-C", self.project, "status", "--porcelain"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def difference(self) -> list[str]:
        """The lines that were added and removed; the project is then as it was."""
        git = ["git", "-C", str(self.project)]
        shown = subprocess.run(
            [*git, "diff", "-U0"], check=True, capture_output=True, text=True
        ).stdout
        subprocess.run([*git, "checkout", "-q", "."], check=True)
        marks = ("+++", "---")
        return [x for x in shown.splitlines() if x[:1] in "+-" and not x.startswith(marks)]


@dataclass(frozen=True)
class Tile:
    """A chart as a person sees it.

    Attributes:
        text: All of it.
        kind: ``picture``, ``words``, ``empty`` or ``problem``.
        outside: Texts that are cut off at the tile's edge.
        overlapping: Pairs of texts that lie on each other.
    """

    text: str
    kind: str
    outside: list[str]
    overlapping: list[list[str]]


_LOOK = """
() => {
  const tile = document.getElementById('tile'), svg = tile.querySelector('svg');
  const seen = [...tile.querySelectorAll('svg text')].filter(t => t.textContent.trim())
    .map(t => ({text: t.textContent, box: t.getBoundingClientRect()}));
  const outside = seen.filter(({box}) => box.left < -1 || box.top < -1
    || box.right > innerWidth + 1 || box.bottom > innerHeight + 1).map(s => s.text);
  if (!svg && document.documentElement.scrollWidth > innerWidth + 1) outside.push('(too wide)');
  const on = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  const overlapping = seen.flatMap((a, i) => seen.slice(i + 1)
    .filter(b => on(a.box, b.box)).map(b => [a.text, b.text]));
  const kind = ['empty', 'problem'].find(k => tile.querySelector('.' + k))
    || (svg ? 'picture' : 'words');
  return {text: tile.textContent, kind, outside, overlapping};
}
"""


@pytest.fixture(scope="package")
def server(
    browser: Any, lived_in: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return the servers of `lived_in`, with every table of the dashboards made."""
    with _up(lived_in, tmp_path_factory.mktemp("up") / "output") as server:
        yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Return a browser."""
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def page(server: Server, browser: Any) -> Any:
    """Return a signed-in page, as large as a laptop's."""
    return _sign_in(server, browser)


@pytest.fixture(scope="module")
def workshop(
    browser: Any,
    tmp_path_factory: pytest.TempPathFactory,
    make_champion: Callable[[Path], None],
) -> Iterator[Workshop]:
    """Return a copy of the project under git that may be changed, its servers, and a page."""
    folder = tmp_path_factory.mktemp("workshop")
    project, settings = folder / "project", load_settings({"home": folder / "home"})
    listed = subprocess.run(
        ["git", "-C", PROJECT_ROOT, "ls-files", "-co", "--exclude-standard", "-z"],
        **{"check": True, "capture_output": True, "text": True},
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT_ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT_ROOT / name, project / name)
    make_champion(settings.home)
    small = ("months=2024-01..2024-02", "source.sample_rows=1500", "validation.min_rows=1000")
    subprocess.run(
        [sys.executable, "-m", "mlops.cli", "pipeline", "run", "data_preparation"]
        + [part for variable in small for part in ("--var", variable)],
        env={**os.environ, "MLOPS_HOME": str(settings.home), "MLOPS_PROJECT": str(project)},
        check=True,
    )
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "as it was")):
        subprocess.run(["git", "-C", project, *command], check=True)
    with _up(settings, folder / "output", MLOPS_PROJECT=str(project)) as server:
        yield Workshop(project, server.mage, _sign_in(server, browser))


def _sign_in(server: Server, browser: Any) -> Any:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.mage)
    page.fill('input[type="email"], input[placeholder="Email"]', "owner@mlops.local")
    page.fill('input[type="password"]', PASSWORD)
    page.click('button:has-text("Sign into Mage")')
    page.wait_for_url(lambda url: "sign-in" not in url)
    return page


@pytest.fixture(scope="package")
def open_dashboard(
    server: Server, page: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Mapping[str, Tile]]:
    """Return what opens a dashboard and looks at its tiles.

    Its pictures are kept in ``MLOPS_SCREENSHOTS``, or with the test session's files.
    """
    folder = Path(os.environ.get("MLOPS_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))

    def look(layout: str, path: str = "", picture: str = "") -> Mapping[str, Tile]:
        """Open the page at ``path``, or that of a layout in ``presenters/``; tiles by name."""
        file = PROJECT_ROOT / "presenters" / layout / "dashboard" / "block_layout.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = [
            content["blocks"][tile["block_uuid"]]["name"]
            for row in content["layout"]
            for tile in row
        ]
        page.goto(server.mage + (path or f"/{layout}/dashboard"))
        frames = page.locator("iframe")
        frames.nth(len(names) - 1).wait_for()
        found = {}
        for place, name in enumerate(names):
            page.get_by_text(name, exact=True).first.wait_for()
            frame = frames.nth(place).element_handle().content_frame()
            frame.wait_for_selector("#tile")
            found[name] = Tile(**frame.evaluate(_LOOK))
        assert frames.count() == len(names)
        assert not page.get_by_text(BARE).count()
        if picture:
            height = 230 + sum(
                max(tile["height"] for tile in row) + 96 for row in content["layout"]
            )
            page.set_viewport_size({"width": 1440, "height": height})
            page.screenshot(path=folder / f"{picture}.png")
            page.set_viewport_size({"width": 1440, "height": 900})
        return found

    return look


@pytest.fixture
def no_tables(server: Server) -> Iterator[None]:
    """Let every table be missing, as before the first data."""
    folder = server.settings.observed
    away = folder.with_name("observability-put-away")
    folder.rename(away)
    yield
    away.rename(folder)


@contextlib.contextmanager
def _up(settings: Settings, output: Path, **variables: str) -> Iterator[Server]:
    mage, mlflow, metrics = free_ports(3)
    environment = {
        **os.environ,
        "MLOPS_HOME": str(settings.home),
        "MLOPS_SERVER__MAGE_PORT": str(mage),
        "MLOPS_SERVER__MLFLOW_PORT": str(mlflow),
        "MLOPS_OBSERVABILITY__METRICS_PORT": str(metrics),
        "MLOPS_OBSERVABILITY__REFRESH_SECONDS": "3600",  # once: tests may put tables away
        "MLOPS_OWNER_PASSWORD": PASSWORD,
        "MLOPS_SERVER__SCHEDULER_INTERVAL_SECONDS": "1",
        **variables,
    }
    found = Server(f"http://127.0.0.1:{mage}", f"http://127.0.0.1:{mlflow}", settings, output)
    wanted = {f"{name}.parquet" for name in TABLES}
    shutil.rmtree(settings.observed, ignore_errors=True)  # tables of before are not waited for
    with output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "up"],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 200  # below a test's, whose end shows no output
            while not (
                _answers(found.mage)
                and _answers(found.mlflow)
                and wanted <= {path.name for path in settings.observed.glob("*")}
            ):
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline, output.read_text()
                time.sleep(0.5)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
