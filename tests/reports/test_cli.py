"""`mlops report` says where a report went."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from mlops.cli import main


@pytest.fixture
def home(project: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(project.settings.home))
    return Path(project.settings.home)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_json_tells_where_it_went(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "model", "1", "--json") == 0

    said = json.loads(capsys.readouterr().out)
    assert said["path"] == str(home / "reports" / "model-v1.html")
    assert said["logged"].endswith("reports/model-v1.html")
    assert said["title"] == "Model card: trip-duration, version 1"


def test_it_opens_only_when_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)

    assert run("report", "run", "--output", str(tmp_path / "run.html")) == 0
    assert opened == []
    assert run("report", "run", "--output", str(tmp_path / "run.html"), "--open") == 0
    assert opened == [(tmp_path / "run.html").as_uri()]


def test_what_does_not_exist_has_its_exit_code(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", "model", "99") == 2
    assert "there is no version '99'; there are 1, champion" in capsys.readouterr().err
    assert run("report", "card") == 2
    assert "choose one of: run, window, model" in capsys.readouterr().err
