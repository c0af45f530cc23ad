"""The doctor finds what is wrong and says what to do about it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlops.cli import doctor
from mlops.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_fit_machine_has_no_failed_check() -> None:
    found = list(doctor.run_checks(load_settings()))

    assert [check for check in found if check.result == "fail"] == []


def test_a_taken_port_is_named_with_a_way_out() -> None:
    # given something that listens on the port Mage would use
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        # when the port is checked
        settings = load_settings({"server.mage_port": port})
        check = next(iter(doctor.check_ports(settings)))

    # then the finding names it
    assert check.result == "warn"
    assert str(port) in check.details
    assert "server.mage_port" in check.what_to_do


def test_a_home_that_is_a_file_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("not a folder")
    monkeypatch.setenv("MLOPS_HOME", str(home / "file"))

    check = doctor.check_home(load_settings())

    assert check.result == "fail"
    assert "MLOPS_HOME" in check.what_to_do


@pytest.mark.parametrize(
    "overrides",
    [
        {"source.kind": "path"},
        {"source.kind": "path", "source.location": "/nowhere"},
        {"source.kind": "tlc", "source.base_url": "http://127.0.0.1:9"},
    ],
)
def test_a_source_out_of_reach_fails(overrides: dict[str, str]) -> None:
    check = doctor.check_source(load_settings(overrides))

    assert check.result == "fail"
    assert check.what_to_do


def test_a_database_out_of_reach_fails_without_showing_the_password() -> None:
    url = "postgresql+psycopg2://mlops:hidden-word@127.0.0.1:9/mage"

    check = doctor.check_mage_database(load_settings({"server.database_url": url}))

    assert check.result == "fail"
    assert "hidden-word" not in check.details


@pytest.mark.parametrize("uri", ["postgresql://u:hidden-word@127.0.0.1:9/m", "no-such://server"])
def test_a_tracking_database_out_of_reach_fails(uri: str) -> None:
    check = doctor.check_tracking(load_settings({"tracking.uri": uri}))

    assert check.result == "fail" and "tracking.uri" in check.what_to_do
    assert "hidden-word" not in check.details


@pytest.mark.parametrize("name", ["mage/mage.db", "mlflow/mlflow.db"])
@pytest.mark.parametrize("state", ["0 bytes", "no tables", "one table", "a folder"])
def test_a_database_without_what_it_must_hold_fails(home: Path, name: str, state: str) -> None:
    # Given a home whose database is there but holds nothing
    path = home / "home" / name
    path.parent.mkdir(parents=True)
    if state == "0 bytes":
        path.touch()
    elif state == "a folder":
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("create table block_run (id integer)")
            if state == "no tables":
                database.execute("drop table block_run")
            database.commit()

    # When the doctor looks
    checks = list(doctor.check_stored(load_settings()))

    # Then that database is the only fault, with what is lost and what to do
    [fault] = [check for check in checks if check.result == "fail"]
    assert str(path) in fault.details
    assert ("empty" in fault.details) == (state == "0 bytes")
    assert ("has no table" in fault.details) == ("table" in state)
    assert "backup" in fault.what_to_do and f"mv {path}" in fault.what_to_do


def test_a_check_that_raises_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_disk(_: object) -> doctor.Check:
        raise OSError("disk on fire")

    monkeypatch.setattr(doctor, "check_disk", check_disk)

    found = {check.check: check for check in doctor.run_checks(load_settings())}

    assert found["disk"].result == "fail"
    assert "disk on fire" in found["disk"].details
    assert found["python"].result == "ok"


_ONLINE_IMAGE = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {foreign!r}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Refusing())
from mlops.cli import doctor

installed = doctor.installed
doctor.installed = lambda name: None if name == "mage-ai" else installed(name)
from mlops.cli import main

main(["doctor", "--json"])
"""


def test_the_image_of_the_online_server_can_be_examined_without_mage(lived_in: Settings) -> None:
    foreign = ("mage_ai", "pandera", "hyperopt", "flask", "dask", "great_expectations", "s3fs")

    done = subprocess.run(
        [sys.executable, "-c", _ONLINE_IMAGE.format(foreign=foreign)],
        env={**os.environ, "MLOPS_HOME": str(lived_in.home)},
        capture_output=True,
        text=True,
    )

    assert "Traceback" not in done.stderr
    checks = {check["check"]: check for check in json.loads(done.stdout)}
    assert "serving.txt" in checks["packages"]["details"]
    assert "serving port" in checks and "Mage's port" not in checks
    assert [c for c in checks.values() if "Error" in c["details"]] == []
    assert "bundles" in checks["serving"]["details"]
    assert "training set" in checks
