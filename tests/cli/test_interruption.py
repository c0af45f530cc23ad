"""Ctrl-C in a terminal: exit code 130, and a command that goes on, which is then typed."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from mlops.errors import InterruptionError
from mlops.orchestration.engine.interruption import interruptible

ROOT = Path(__file__).resolve().parents[2]
CTRL_C = b"\x03"
SMALL = (
    "mlops run --families linear_regression,global_mean --objectives squared_error --max-evals 1 "
    "--set source.sample_rows=2000 --set source.months=2024-01..2024-02"
)
PATIENCE_SECONDS = 240


def typed(command: str, home: Path, press_at: str = "") -> tuple[int, str]:
    """Run a command in a terminal of its own; press Ctrl-C when it shows ``press_at``."""
    arguments = shlex.split(command)[1:]
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "MLOPS_HOME": str(home), "COLUMNS": "400", "TERM": "dumb"}
        os.execve(sys.executable, [sys.executable, "-m", "mlops.cli", *arguments], environment)
    shown, pressed, deadline = "", not press_at, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 65_536).decode(errors="replace")
        except OSError:  # the other end is closed: it has ended
            break
        if not pressed and press_at in shown:
            os.write(terminal, CTRL_C)
            pressed = True
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    assert pressed, shown
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def way_on(shown: str) -> str:
    """The command that a message says to go on with."""
    found = re.search(r"what to do\s+continue with: (mlops .+)", shown)
    assert found, shown
    return found[1].strip()


@pytest.mark.mage
def test_a_job_is_interrupted_anywhere_and_goes_on_with_what_the_message_says(
    tmp_path: Path,
) -> None:
    # Given a main job that is interrupted while Mage loads, in a block, and in the selection
    command = SMALL
    for moment in ("loading Mage", "extract_trips", "model_selection"):
        code, shown = typed(command, tmp_path, press_at=moment)
        assert (code, "Traceback" in shown) == (130, False), shown
        command = way_on(shown)
        assert command == "mlops run --resume"

    # When it goes on each time as it was told
    code, shown = typed(command, tmp_path)

    # Then it ends as if nothing had happened
    assert code in (0, 5), shown
    assert "Registry" in shown


@pytest.mark.mage
def test_a_single_pipeline_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    command = "mlops pipeline run data_preparation --var source.sample_rows=2000 --var workers=1"

    code, shown = typed(command, tmp_path, press_at="run 1")
    assert code == 130, shown
    assert way_on(shown) == "mlops pipeline resume 1"

    assert typed(way_on(shown), tmp_path)[0] == 0


def test_a_command_that_only_looks_can_be_typed_again(tmp_path: Path) -> None:
    command = "mlops serve --help"

    with pytest.raises(InterruptionError) as stop, interruptible(lambda: command):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    assert stop.value.exit_code == 130
    assert stop.value.hint == f"continue with: {command}"


def test_a_library_that_swallows_ctrl_c_does_not_hide_it() -> None:
    def load() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            raise ImportError("half imported") from None

    with pytest.raises(InterruptionError), interruptible(lambda: "mlops run"):
        load()

    # and without Ctrl-C an error stays what it is
    with pytest.raises(ImportError), interruptible(lambda: "mlops run"):
        raise ImportError("really missing")
