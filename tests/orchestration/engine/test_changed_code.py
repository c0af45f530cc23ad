"""Files that change under a server: it says so, starts nothing, and writes no false commit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlops.cli import main
from mlops.errors import ServerError
from mlops.fingerprints import PACKAGE
from mlops.orchestration.engine import changed_code as module
from mlops.orchestration.engine.changed_code import (
    LOOK_SECONDS,
    CodeWatch,
    changed_code,
    require_unchanged,
)
from mlops.settings import Settings, load_settings


class Watched:
    """A watch with files and a clock set by hand."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changed: tuple[str, ...] = ()
        self.now = 0.0
        self.said: list[str] = []
        self.settings = load_settings({"home": home})
        monkeypatch.setattr(module, "changed_sources", lambda: self.changed)
        monkeypatch.setattr(module, "imported_commit", lambda: "c0ffee" * 6)
        self.watch = CodeWatch(self.settings, self.said.append, lambda: self.now)

    def look_at(self, *changed: str) -> str:
        """Let files differ, look again, and return what others are told."""
        self.changed = changed
        self.now += LOOK_SECONDS
        self.watch.look()
        return changed_code(self.settings)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path / "home", monkeypatch)


def test_nothing_is_told_while_the_files_are_those_that_run(watched: Watched) -> None:
    assert watched.look_at() == ""
    assert watched.said == []
    assert changed_code(Settings(home=watched.settings.home / "of nobody")) == ""
    require_unchanged()


def test_a_change_is_told_once_to_the_terminal_and_to_whoever_asks(watched: Watched) -> None:
    told = watched.look_at("x.py")
    assert told == (
        "the server runs the code of commit c0ffeec0ff, but mlops/x.py has changed since: "
        "it starts no further block; restart `mlops up`"
    )
    assert watched.look_at("x.py") == told
    assert watched.said == [told]

    # When more change, then that is told, with the names of some
    told = watched.look_at("a.py", "b.py", "x.py")
    assert "but 3 files (mlops/a.py, mlops/b.py, …) have changed since" in told
    assert "2 files (mlops/a.py, mlops/b.py) have" in watched.look_at("a.py", "b.py")

    # When all are as they were, then that is told, and nothing is left
    assert watched.look_at() == ""
    assert "again" in watched.said[-1]


def test_the_files_are_looked_at_only_every_few_seconds(watched: Watched) -> None:
    watched.look_at()
    watched.changed, watched.now = ("x.py",), watched.now + 0.9 * LOOK_SECONDS
    watched.watch.look()
    assert watched.said == []


def test_a_part_that_would_mix_old_and_new_code_is_refused(watched: Watched) -> None:
    watched.changed = ("x.py",)
    with pytest.raises(
        ServerError, match=r"mlops/x\.py has changed .* mix old and new code: restart"
    ):
        require_unchanged()


def test_status_tells_beside_its_json(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(watched.settings.home))
    for changed in ((), ("x.py",)):
        told = watched.look_at(*changed)
        for options in ([], ["--json"]):
            with pytest.raises(SystemExit):
                main(["status", *options])
            captured = capsys.readouterr()
            text = captured.err if options else captured.out
            assert ("restart `mlops up`" in text) == bool(told)
            assert told in " ".join(text.split())
            assert not options or json.loads(captured.out) == []


@pytest.mark.mage
def test_a_server_starts_no_block_of_changed_code_and_stamps_what_it_imported(
    toy: Any, helpers: Any
) -> None:
    # Given a checkout of the library, and blocks that note its commit; one waits to be let go
    go = toy.folder / "go"
    _edit(
        toy.project / "data_loaders/extract.py",
        'time.sleep(float(kwargs.get("pause", 0)))',
        f"while not Path({str(go)!r}).exists():\n        time.sleep(0.1)",
    )
    _edit(
        toy.project / "data_exporters/publish.py",
        'ledger.write("publish\\n")',
        "from mlops.registry.receipts import code_commit\n\n        ledger.write(code_commit())",
    )
    checkout = toy.folder / "checkout"
    shutil.copytree(PACKAGE, checkout / "mlops", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "-q", checkout], check=True)
    imported = _commit(checkout)
    edited = checkout / "mlops" / "errors.py"
    original = edited.read_text()
    here = {"MLOPS_PROJECT": str(checkout), "PYTHONPATH": str(checkout)}
    server = helpers.start_server(toy, **here).wait_until_up()
    try:
        first = _run(server, toy)
        toy.wait_for(lambda: "extract" in toy.ledger.read_text())

        # When the code is replaced by that of another commit while a block runs
        edited.write_text(original + "\n# of the next commit\n")
        pulled = _commit(checkout)
        assert pulled != imported

        # Then it is told, at the terminal and in `status`
        told = server.popen.stdout.readline()
        assert f"runs the code of commit {imported[:10]}, but mlops/errors.py has changed" in told
        assert told.strip() in _status(toy, here)
        log = toy.home / "logs" / "server" / "scheduler.log"
        toy.wait_for(lambda: "restart `mlops up` to start" in log.read_text())
        # and the block ends well, but the next one does not start
        go.touch()
        toy.wait_for(lambda: _blocks(toy, first)["extract"] == "COMPLETED")
        time.sleep(3)  # three looks
        assert _blocks(toy, first)["publish"] == "INITIAL"
        # until the files are as they were: its commit is the one imported, not the one checked out
        edited.write_text(original)
        assert "it starts blocks again" in server.popen.stdout.readline()
        toy.wait_for(lambda: _blocks(toy, first)["publish"] == "COMPLETED")
        assert toy.ledger.read_text() == f"extract\n{imported}"
        assert "restart" not in _status(toy, here)

        # When they change for good, then not even a scheduler that died mixes old and new code
        edited.write_text(original + "\n# of the next commit\n")
        assert "has changed since" in server.popen.stdout.readline()
        second = _run(server, toy)
        os.kill(json.loads((toy.home / "scheduler.lock").read_text())["pid"], signal.SIGKILL)
        assert "scheduler was killed by SIGKILL" in server.popen.stdout.readline()
        assert "restarts in 1 s" in server.popen.stdout.readline()
        told = server.popen.stdout.readline()
        assert "mlops/errors.py has changed since `mlops up` started" in told and "restart" in told
        assert _blocks(toy, second) == {}
        assert server.stop() == 0
        assert "restart" not in _status(toy, here)

        # When the server is restarted, then what waited runs, with the commit it has now
        toy.ledger.write_text("")
        server = helpers.start_server(toy, **here).wait_until_up()
        toy.wait_for(lambda: _blocks(toy, second).get("publish") == "COMPLETED")
        assert toy.ledger.read_text() == f"extract\n{pulled}"
        assert server.stop() == 0
    finally:
        server.kill()


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _commit(checkout: Path) -> str:
    git = ["git", "-C", str(checkout), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["add", "-A"], ["commit", "-qm", "next"]):
        subprocess.run([*git, *command], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def _run(server: Any, toy: Any) -> int:
    trigger = toy.trigger("prepare", "over the network")
    return int(server.post(trigger, ledger=str(toy.ledger))["pipeline_run"]["id"])


def _blocks(toy: Any, run: int) -> dict[str, str]:
    query = f"select block_uuid, status from block_run where pipeline_run_id = {run}"
    return dict(toy.rows(query))


def _status(toy: Any, here: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-m", "mlops.cli", "status"],
        cwd=toy.folder,
        env=toy.environment(**here, COLUMNS="400"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
