"""The same engine on PostgreSQL, by configuration alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.mage


@pytest.fixture
def database_url(tmp_path_factory, helpers):
    """A PostgreSQL server of our own, reached over the loopback."""
    search = os.pathsep.join(
        [os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    )
    initdb, pg_ctl = shutil.which("initdb", path=search), shutil.which("pg_ctl", path=search)
    if not initdb or not pg_ctl:
        pytest.skip("no PostgreSQL server programs on this machine")
    folder = tmp_path_factory.mktemp("postgresql")
    user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = ["runuser", "-u", "nobody", "--"]
        for path in (folder, folder.parent, folder.parent.parent):
            path.chmod(0o755)
        shutil.chown(folder, "nobody")
    data = folder / "data"
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*user, initdb, "-D", data, "-U", "mage", "--auth=trust"], cwd=folder, **run)
    port = helpers.free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    server = [*user, pg_ctl, "-D", data, "-w"]
    subprocess.run([*server, "-o", options, "-l", folder / "log", "start"], cwd=folder, **run)
    yield f"postgresql+psycopg2://mage@127.0.0.1:{port}/postgres"
    subprocess.run([*server, "-m", "immediate", "stop"], cwd=folder, **run)


def test_runs_fail_resume_and_complete_as_on_sqlite(toy, database_url):
    # Given a run in which one child dies
    settings = {"MLOPS_SERVER__DATABASE_URL": database_url}
    first = toy.done(
        ("run", [toy.request("prepare", "numbers")]),
        ("run", [toy.request("train", die="b")]),
        ("fresh", "numbers"),
        **settings,
    )
    prepared, trained, fresh = first.results
    assert prepared[0]["status"] == "completed" and fresh is True
    assert trained[0]["status"] == "failed"
    assert "SIGKILL" in trained[0]["blocks"]["fit:b"]["error"]
    # When it is resumed, still dying
    toy.ran()
    again = toy.done(("resume", trained[0]["run_id"]), ("stale", None), **settings)
    # Then only that child ran, and nothing is left in progress
    assert toy.ran() == ["fit:b"]
    assert again.results[0]["status"] == "failed" and again.results[1] == []
    assert [output and output["name"] for output in again.results[0]["outputs"]["fit"]] == [
        "a",
        None,
        "c",
    ]
