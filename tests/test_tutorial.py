"""The tutorial, word for word: its commands in their order, and the output that it shows.

Only what a newcomer's machine decides is given by the environment: an empty home, free ports, a
wide terminal, fewer candidates with one trial each, and a short canary. Numbers may differ from
those on the page.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from demo.servers import free_ports

# Alone it takes two minutes; beside other tests several times as long.
pytestmark = [pytest.mark.mage, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "your-own-table.md").read_text(encoding="utf-8")
# Commands with what they print; a block of commands may show nothing.
STEPS = re.findall(r"```bash\n(.*?)```(?:\s*```text\n(.*?)```)?", PAGE, re.DOTALL)
MARK = "=== step"


def plain(text: str) -> str:
    """Return text without its numbers and without the width of its gaps."""
    return re.sub(r"\s+", " ", re.sub(r"[-\d.,]*\d", "0", text)).strip()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands of each step printed, in a folder and a home of their own."""
    folder = tmp_path_factory.mktemp("tutorial")
    port, metrics = free_ports(2)
    script = "set -euo pipefail\n" + "".join(f"echo '{MARK}'\n{step}" for step, _ in STEPS)
    environment = {name: value for name, value in os.environ.items() if "MLOPS_" not in name}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLOPS_HOME": str(folder / "home"),
        "MLOPS_SERVING__PORT": str(port),
        "MLOPS_SERVING__METRICS_PORT": str(metrics),
        "MLOPS_TRAINING__MAX_EVALS": "1",
        "MLOPS_TRAINING__FAMILIES": "global_mean,group_median",
        "MLOPS_TRAINING__OBJECTIVES": "squared_error,quantiles",
        "MLOPS_DEPLOYMENT__CANARY_MINUTES": "0.1",
        "MLOPS_DEPLOYMENT__CANARY_PERCENT": "50",
        "MLOPS_DEPLOYMENT__CANARY_MIN_REQUESTS": "5",
        "COLUMNS": "240",
        "NO_PROXY": "localhost",
    }
    log = folder / "output"
    with log.open("w") as printed:
        process = subprocess.Popen(
            ["bash", "-c", script.replace("localhost:8000", f"localhost:{port}")],
            **{"cwd": folder, "env": environment, "start_new_session": True},
            **{"stdout": printed, "stderr": printed},
        )
        try:
            code = process.wait(timeout=840)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):  # a server is left where a command before it failed
                os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, log.read_text()
    return log.read_text().split(MARK)[1:]


def test_every_command_works_and_prints_what_the_page_shows(output: list[str]) -> None:
    assert len(output) == len(STEPS) >= 10
    for (commands, shown), printed in zip(STEPS, output, strict=True):
        lines = [line.rstrip(" …") for line in shown.splitlines() if line.strip(" …")]
        missing = [line for line in lines if plain(line) not in plain(printed)]
        assert not missing, f"{commands}prints no line like {missing[0]!r}, but:\n{printed}"
    assert sum(bool(shown) for _, shown in STEPS) >= 8


def test_every_page_that_it_links_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", PAGE)

    assert "../datasets/README.md" in links
    assert all((ROOT / "docs" / link).is_file() for link in links)
