"""`mlops keys`: a key is shown once, listed without itself, and revoked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def test_the_life_of_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    assert run("keys", "add", "team", "--days", "30") == 0
    shown = capsys.readouterr()
    token = shown.out.strip()
    assert token.startswith("mlops_")
    assert token not in shown.err

    assert run("keys", "list", "--json") == 0
    listed = capsys.readouterr().out
    assert token not in listed
    (key,) = json.loads(listed)
    assert (key["number"], key["name"], key["valid"], key["revoked"]) == (1, "team", True, "")

    assert run("keys", "revoke", "team") == 0
    assert "revoked key 1 of team" in capsys.readouterr().out
    assert run("keys", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["valid"] is False

    assert run("keys", "revoke", "team") == 2
    assert "mlops keys list" in capsys.readouterr().err
