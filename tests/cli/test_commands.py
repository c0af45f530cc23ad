"""The command line answers quickly, explains itself, and fails with the documented codes."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from mlops.cli import build_app, main
from mlops.cli.reproduction import DIFFERS
from mlops.errors import EXIT_CODES, MlopsError
from mlops.settings import PROJECT_ROOT, Settings

# The tables that are read, before anything is in them.
EMPTY = """
create table pipeline_run (id, pipeline_uuid, pipeline_schedule_id, status, created_at, started_at,
    completed_at, updated_at);
create table block_run (id, pipeline_run_id, status);
create table pipeline_schedule (id, pipeline_uuid, name, status, created_at);
create table model_versions (name, version, run_id, source, creation_time, current_stage);
create table runs (run_uuid, artifact_uri);
create table registered_model_aliases (name, version, alias);
create table model_version_tags (name, version, key, value);
"""


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process; returns exit code, output and errors."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


COMMANDS = [
    ("run",),
    ("pipeline", "run"),
    ("pipeline", "list"),
    ("status",),
    ("models",),
    ("deploy",),
    ("rollback",),
    ("deployments",),
    ("predict",),
    ("doctor",),
    ("config", "show"),
    ("config", "schema"),
    ("monitor",),
    ("up",),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_examples(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, *command, "--help")

    assert code == 0
    assert "Examples:" in out
    assert f"mlops {' '.join(command)}" in out.split("Examples:")[1]


def test_the_exit_codes_are_one_table_in_code_help_and_readme(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = call(capsys, "--help")
    shown = " ".join(out.split())
    readme = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")

    failures = {each.exit_code for each in (MlopsError, *MlopsError.__subclasses__())}
    assert failures | {0, DIFFERS, 130} == set(EXIT_CODES)
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in shown
        assert f"| {code} | {meaning} |" in readme
    assert len(re.findall(r"^\| \d+ \| ", readme, re.M)) == len(EXIT_CODES)


def every_command() -> Iterator[list[str]]:
    """Yield the words of every command and group."""
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(build_app()))]
    while waiting:
        words, command = waiting.pop()
        yield words
        waiting += [
            ([*words, name], each) for name, each in getattr(command, "commands", {}).items()
        ]


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_shows_nothing_of_the_language_it_is_written_in(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, *words, "--help")

    assert code == 0
    assert "None" not in out and "Optional" not in out


def test_the_version_names_the_project_and_what_it_stands_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = call(capsys, "--version")

    assert code == 0
    for name in ("mlops", "mage-ai", "mlflow"):
        assert f"{name} {version(name)}" in out


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["modles"], "models"),
        (["deploymnts"], "deployments"),
        (["config", "shwo"], "show"),
        (["run", "--max-eval", "3"], "--max-evals"),
        (["run", "--set", "training.max_eval=3"], "training.max_evals"),
        (["run", "--set", "max_eval=3"], "max_evals"),
        (["run", "--set", "refresh_seconds=3"], "observability.refresh_seconds"),
        (["config", "show", "trainin"], "training"),
        (["config", "show", "training.sede"], "training.seed"),
    ],
)
def test_a_typo_is_answered_with_what_was_meant(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, *arguments)

    assert code == 2
    assert f"did you mean {meant}?" in err


@pytest.mark.parametrize("section", ["nope", "train", "training.", "training.seed.x", "."])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_section_that_does_not_exist_is_refused(
    section: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "config", "show", section, *more)

    assert code == 2
    assert f"there is no section or setting '{section}'" in out + err


def test_one_setting_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "config", "show", "training.seed", "--set", "seed=9", "--json")[1] == "9\n"


# What takes the better part of a second to import, or more: a list of what is stored needs none.
SLOW = {"mlflow", "pandas", "numpy", "pyarrow", "sklearn", "scipy", "sqlalchemy", "mage_ai"}


@pytest.mark.parametrize(
    "command",
    [
        "models",
        "models 1",
        "status",
        "config show",
        "triggers",
        "deployments",
        "monitor --list",
        "keys list",
        "pipeline list",
        "--version",
    ],
)
def test_looking_imports_nothing_that_computes(command: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for database in ("mage/mage.db", "mlflow/mlflow.db"):
        (home / database).parent.mkdir(parents=True)
        sqlite3.connect(home / database).executescript(EMPTY)
    program = f"""
import sys
from mlops.cli import main
try:
    main({command.split()!r})
except SystemExit:
    pass
assert not {SLOW!r} & set(sys.modules), {SLOW!r} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "MLOPS_HOME": str(home)},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["run", "--months", "2024-13"], 2, "months"),
        (["run", "--max-evals", "many"], 2, "--max-evals"),
        (["predict"], 2, "ROWS"),
        (["run", "--set", "training.nothing=1"], 2, "training.nothing"),
        (["run", "--train-data", "missing.parquet"], 2, "--validation-data"),
        (["--train-data", "a.parquet", "--validation-data", "b.parquet"], 2, "a.parquet"),
        (["pipeline", "run", "nothing"], 2, "data_preparation"),
        (["pipeline", "run", "data_preparation", "--var", "month=2024-01"], 2, "month"),
    ],
)
def test_mistakes_are_named_with_their_exit_code(
    arguments: list[str], code: int, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _, err = call(capsys, *arguments)

    assert found == code
    assert named in err
    assert err.count("what to do") == 1
    assert "Value error" not in err


def test_errors_are_json_when_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "run", "--months", "never", "--json")

    assert json.loads(out)["exit_code"] == code == 2


def test_config_show_is_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "config", "show", "--set", "training.seed=9", "--json")

    assert json.loads(out)["training"]["seed"] == 9


def test_config_schema_is_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "config", "schema")

    assert json.loads(out) == Settings.model_json_schema()


def test_pipeline_list_names_every_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "pipeline", "list", "--json")

    assert {"data_preparation", "model_selection"} <= {row["pipeline"] for row in json.loads(out)}


def test_help_breaks_its_lines_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.width", 60)

    _, out, _ = call(capsys, "backtest", "--help")

    text = out.partition("policies.")[2].partition("Options")[0]
    body = [line for line in text.splitlines() if "." in line or "," in line]
    assert len(body) > 4 and all(len(line.strip()) > 40 for line in body[:-1])


@pytest.mark.parametrize("how", ["option", "environment", "set"])
def test_an_unknown_dataset_is_refused_at_once_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    given = {"option": ["--dataset", "flihgts"], "set": ["--set", "dataset=flihgts"]}.get(how, [])
    if how == "environment":
        monkeypatch.setenv("MLOPS_DATASET", "flihgts")

    code, _, err = call(capsys, "monitor", *given)

    assert code == 2
    assert "there is no dataset 'flihgts'" in err
    assert "did you mean flights?" in err


@pytest.mark.parametrize("before", [None, "taxi"])
def test_a_command_works_on_the_dataset_that_its_option_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("MLOPS_DATASET", raising=False)
    if before:
        monkeypatch.setenv("MLOPS_DATASET", before)

    code, out, _ = call(capsys, "config", "show", "--dataset", "flights", "--json")

    shown = json.loads(out)
    assert (code, shown["dataset"]) == (0, "flights")
    assert shown["tracking"]["model_name"] == "flights"
    assert os.environ.get("MLOPS_DATASET") == before
