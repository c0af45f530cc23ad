"""What is done at the end of every run, and what is kept for those that may go on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.orchestration.runs import exits
from mlops.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path)})


def ended(run_id: int, succeeded: bool) -> Any:
    return SimpleNamespace(
        dataset="taxi",
        pipeline="model_selection",
        run_id=run_id,
        succeeded=succeeded,
        status="",
        failed_blocks=(),
    )


def staged(settings: Settings, name: str, age_days: float = 0) -> Path:
    folder = settings.staging / name
    folder.mkdir(parents=True)
    moment = time.time() - age_days * 86_400
    os.utime(folder, (moment, moment))
    return folder


def test_what_a_run_staged_is_removed_when_it_succeeded_and_kept_to_go_on(
    settings: Settings,
) -> None:
    done, other, failed = (staged(settings, f"selection/{number}") for number in (1, 2, 3))
    exits.clean_up(settings, ended(1, succeeded=True))
    exits.clean_up(settings, ended(3, succeeded=False))
    assert not done.exists() and other.exists() and failed.exists()


def test_what_nobody_has_come_back_for_is_removed_after_a_week(settings: Settings) -> None:
    old = [staged(settings, name, age_days=8) for name in ("selection/1", "validated-abc")]
    recent = staged(settings, "validated-def", age_days=6)
    exits.clean_up(settings, ended(9, succeeded=False))
    assert not any(folder.exists() for folder in old)
    assert recent.exists()


def test_what_is_a_week_old_to_the_second_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = staged(settings, "validated-abc")
    os.utime(folder, (1_000_000, 1_000_000))
    now = 1_000_000 + 7 * 86_400
    monkeypatch.setattr(exits, "time", SimpleNamespace(time=lambda: now))
    exits.clean_up(settings, ended(9, succeeded=False))
    assert folder.exists()
    now += 1
    exits.clean_up(settings, ended(9, succeeded=False))
    assert not folder.exists()


def test_a_folder_that_cannot_be_removed_ends_no_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, age in (("selection/1", 0), ("validated-abc", 8)):
        (staged(settings, name, age) / "file").touch()
    os.utime(settings.staging / "validated-abc", (0, 0))

    def refuse(*arguments: Any, **named: Any) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        exits.clean_up(settings, ended(1, succeeded=True))
    assert (settings.staging / "selection" / "1").exists()


@pytest.mark.parametrize("pipeline", ["retraining", "deployment"])
def test_the_record_of_a_retraining_is_closed_with_the_first_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, pipeline: str
) -> None:
    closed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(exits, "close_record", lambda *arguments: closed.append(arguments))
    blocks = tuple(SimpleNamespace(block=name, error=f"{name} broke") for name in "ab")
    result: Any = SimpleNamespace(
        pipeline=pipeline, run_id=3, status="failed", failed_blocks=blocks
    )

    exits.close_retraining(settings, result)

    wanted = [(settings, 3, "failed", "a: a broke")] if pipeline == "retraining" else []
    assert closed == wanted


def test_a_pipeline_that_works_again_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(exits.events, "run_succeeded", lambda *arguments: told.append(arguments))
    exits.tell(settings, ended(5, succeeded=True))
    assert told == [(settings, "model_selection")]


def test_nothing_staged_is_no_problem(settings: Settings) -> None:
    exits.run_ended(settings, ended(1, succeeded=True))


def test_a_hook_that_fails_costs_the_others_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called = []

    def fail(settings: Settings, result: Any) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(exits, "HOOKS", (fail, lambda settings, result: called.append(result)))
    exits.run_ended(settings, ended(5, succeeded=True))
    assert len(called) == 1
    assert "after run 5 of model_selection" in caplog.text and "no disk" in caplog.text


@pytest.mark.parametrize(
    ("errors", "alerts"),
    [
        (["mlops.errors.SourceError: no network"], 1),
        (["mlops.errors.DeploymentError: version 2 was taken back"], 0),
        (["mlops.errors.DeploymentError: taken back", "OSError: no disk"], 1),
        ([], 1),
    ],
)
def test_what_a_deployment_has_told_is_not_told_again_as_a_failed_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, errors: list[str], alerts: int
) -> None:
    told = []
    monkeypatch.setattr(exits.events, "run_failed", lambda *arguments: told.append(arguments))
    blocks = tuple(SimpleNamespace(block="b", error=error, log=Path("log")) for error in errors)
    result: Any = SimpleNamespace(
        pipeline="deployment", run_id=3, succeeded=False, status="failed", failed_blocks=blocks
    )

    exits.tell(settings, result)

    assert len(told) == alerts


def test_the_end_of_a_run_is_noted_where_its_dataset_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr(exits, "HOOKS", (lambda settings, result: seen.append(settings),))

    exits.run_ended(settings, SimpleNamespace(dataset="flights"))  # type: ignore[arg-type]

    assert [(each.dataset, each.home) for each in seen] == [("flights", settings.home)]
