"""The command line answers quickly, explains itself, and fails with the documented codes."""

from __future__ import annotations

import json

import pytest

from mlops.cli import main
from mlops.settings import Settings


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


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--help")

    for code in ("0 done", "5 the gate refused", "130 interrupted"):
        assert code in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["run", "--months", "2024-13"], 2, "months"),
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
    assert "what to do" in err


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
