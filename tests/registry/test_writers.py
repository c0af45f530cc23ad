"""Whether the process that began a run of the record is still there to end it."""

from __future__ import annotations

import os
import subprocess
import sys

from mlops.registry import tracking
from mlops.registry.connection import connect, ensure_tracking
from mlops.registry.tracking import close_abandoned_runs
from mlops.registry.writers import has_ended, this_process
from mlops.settings import Settings

NAME = "import mlops.registry.writers as w; print(w.this_process())"


def of_a_dead_process() -> str:
    done = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_only_a_process_of_this_machine_that_is_gone_has_ended() -> None:
    mine, dead = this_process(), of_a_dead_process()
    assert not has_ended(mine) and has_ended(dead)
    machine, number, started = mine.split("/")
    assert has_ended(f"{machine}/{number}/{int(started) + 1}"), "its number was given away again"
    assert number == str(os.getpid())
    for unknown in (f"elsewhere/{number}/1", "", "nonsense", f"{machine}/x/1"):
        assert not has_ended(unknown)


def test_runs_whose_writer_was_killed_are_closed_and_those_in_progress_are_not(
    registry_of_one_test: Settings,
) -> None:
    settings = registry_of_one_test
    experiment, client = ensure_tracking(settings), connect(settings)

    def begun(**tags: str) -> str:
        run_id: str = client.create_run(experiment, tags=tags).info.run_id
        return run_id

    abandoned = begun(**{tracking._WRITER_TAG: of_a_dead_process()})
    others = [begun(**{tracking._WRITER_TAG: this_process()}), begun()]
    assert close_abandoned_runs(settings) == 1
    assert client.get_run(abandoned).info.status == "KILLED"
    assert [client.get_run(run).info.status for run in others] == ["RUNNING", "RUNNING"]
    assert close_abandoned_runs(settings) == 0
    for run in others:
        client.set_terminated(run)
