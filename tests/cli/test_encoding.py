"""A locale that is not installed, or that is not UTF-8, ends no command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_NAME = "zürich→東京"


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONUTF8": "0", "LC_ALL": "de_DE.ISO-8859-1"},
        {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONUTF8": "0", "LC_ALL": "xx_XX.UTF-8", "PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["config show", "config schema", "models", "doctor --help"])
def test_commands_write_whatever_the_locale(
    tmp_path: Path, variables: dict[str, str], command: str
) -> None:
    # Given a home and settings with letters that ASCII lacks
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    environment = {
        **kept,
        **variables,
        "MLOPS_HOME": str(tmp_path / _NAME),
        "MLOPS_SOURCE__LOCATION": _NAME,
    }
    # When a command shows them
    done = subprocess.run(
        [sys.executable, "-m", "mlops.cli", *command.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
    )
    # Then it ends as everywhere, and nothing is lost
    assert done.returncode == 0, done.stderr.decode()
    assert b"UnicodeEncodeError" not in done.stderr
    if command == "config show" and "PYTHONIOENCODING" not in variables:
        assert _NAME in done.stdout.decode("utf-8").replace("\n", "")
