"""From a name to a file and an artifact of MLflow; and what is said when that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import pytest

from mlops.errors import ConfigurationError, MlopsError, RegistryError
from mlops.monitoring.findings.records import write_decision, write_window
from mlops.registry.versions import Registry
from mlops.reports import making
from mlops.reports.making import make_report
from mlops.steps.reports import leave_report


def logged(made: making.WrittenReport) -> str:
    return Path(url2pathname(made.logged.removeprefix("file:"))).read_text(encoding="utf-8")


def test_a_selection_leaves_its_report_and_a_card(project: Any) -> None:
    # `register` of the fixture wrote them, as it does in a pipeline
    for name in ("run-7.html", "model-v1.html"):
        assert (project.settings.reports / name).is_file()
    info = Registry(project.settings).get(1)
    assert info is not None
    found = (project.settings.home / "mlflow").rglob(f"{info.run_id}/artifacts/reports/*.html")
    assert {path.name for path in found} == {"run-7.html", "model-v1.html"}


@pytest.mark.parametrize(("kind", "file"), [("model", "model-v1.html"), ("run", "run-7.html")])
def test_the_last_is_reported_by_default(
    project: Any, kind: str, file: str, read_page: Callable[[str], Any]
) -> None:
    made = make_report(project.settings, kind)

    assert made.path == project.settings.reports / file
    html = made.path.read_text(encoding="utf-8")
    read_page(html)
    assert logged(made) == html


def test_a_window_is_logged_to_the_run_of_its_version(
    project: Any, make_window: Callable[..., Any], decide: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(2):
        write_window(project.settings, make_window(number, alarming=number == 1))
    write_decision(project.settings, decide(make_window(0), make_window(1, alarming=True)))

    made = make_report(project.settings, "window", output=tmp_path / "deep" / "window.html")

    assert made.path == tmp_path / "deep" / "window.html"
    assert "2024-03-02" in made.title
    assert logged(made) == made.path.read_text(encoding="utf-8")
    assert "retrain" in logged(made)
    # another one by its name
    first = make_report(project.settings, "window", make_window(0).window, tmp_path / "a.html")
    assert "2024-03-01" in first.title


def test_what_there_is_none_of_is_named(project: Any, tmp_path: Path) -> None:
    settings = project.settings
    with pytest.raises(ConfigurationError, match="there is no report of 'card'"):
        make_report(settings, "card")
    with pytest.raises(ConfigurationError, match="there is no version '9'"):
        make_report(settings, "model", "9")
    with pytest.raises(ConfigurationError, match=r"no model selection '\.\./7' on record"):
        make_report(settings, "run", "../7")
    empty = settings.model_copy(update={"home": tmp_path})
    with pytest.raises(ConfigurationError, match="no model selection is on record yet"):
        make_report(empty, "run")
    with pytest.raises(ConfigurationError, match="no window has been monitored yet"):
        make_report(empty, "window")


def test_a_file_that_cannot_be_written_is_named(project: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MlopsError, match=r"file/card\.html: cannot be written"):
        make_report(project.settings, "model", output=tmp_path / "file" / "card.html")


def test_a_report_is_written_even_if_it_cannot_be_logged(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise RegistryError("the server is away", "wait")

    monkeypatch.setattr(making, "log_report", refuse)

    made = make_report(project.settings, "model", output=tmp_path / "card.html")

    assert made.not_logged == "the server is away" and made.logged == ""
    assert made.path.is_file()


def test_a_report_that_fails_costs_a_pipeline_nothing(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_report(project.settings, "model", "9")

    assert (
        "no report of model 9: ConfigurationError: there is no version '9'"
        in capsys.readouterr().out
    )


def test_without_its_snapshot_a_card_says_what_it_lacks(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(project.settings), "store", property(lambda self: tmp_path))

    made = make_report(project.settings, "model", "1", tmp_path / "card.html")

    html = made.path.read_text(encoding="utf-8")
    assert "cannot be read from the store" in html
    assert "as registered" in html
