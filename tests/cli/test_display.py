"""What a person sees while pipelines run."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from mlops.cli.display import PROGRESS_SECONDS, RunDisplay, show_rows
from mlops.orchestration.runs.contract import BlockFinished, BlockProgress, RunFinished, RunStarted


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shown() -> tuple[RunDisplay, Clock, io.StringIO]:
    clock, output = Clock(), io.StringIO()
    return RunDisplay(Console(file=output, width=120), clock), clock, output


def test_each_line_has_time_pipeline_and_news(shown: tuple[RunDisplay, Clock, io.StringIO]) -> None:
    display, clock, output = shown

    display(RunStarted("sklearn_training", 3))
    clock.now = 12.34
    display(BlockFinished("sklearn_training", "tune_and_train:lasso", "completed", 4.2))
    display(BlockFinished("sklearn_training", "collect", "failed", 0.1, "ValueError: no"))
    display(RunFinished("sklearn_training", 3, "failed", 5.0))

    lines = output.getvalue().splitlines()
    assert "run 3" in lines[0]
    assert "12.3 s" in lines[1] and "tune_and_train:lasso" in lines[1] and "4.2 s" in lines[1]
    assert "ValueError: no" in lines[2]
    assert "failed" in lines[3]


def test_a_block_that_is_not_needed_has_not_failed(
    shown: tuple[RunDisplay, Clock, io.StringIO],
) -> None:
    display, _, output = shown

    display(BlockFinished("monitoring", "start_what_was_decided", "condition_failed", 0.0))

    assert "start_what_was_decided skipped" in output.getvalue()
    assert "✗" not in output.getvalue()


def test_progress_shows_trials_and_best_but_not_too_often(
    shown: tuple[RunDisplay, Clock, io.StringIO],
) -> None:
    display, clock, output = shown

    # given three steps of which the second comes too soon after the first
    for trial, now in ((1, 0.0), (2, PROGRESS_SECONDS / 2), (3, PROGRESS_SECONDS)):
        clock.now = now
        fields = {"trial": trial, "trials": 8, "best_rmse": 4.5}
        display(BlockProgress("sklearn_training", "tune_and_train:lasso", "search", fields))

    # then two are shown
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    assert "trial 1/8" in lines[0] and "best rmse 4.500" in lines[0]
    assert "trial 3/8" in lines[1]


def test_rows_are_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a [b]", "value": 1.5, "gone": None, "yes": True}]
    output = io.StringIO()

    show_rows(rows, as_json=False, console=Console(file=output, width=80))
    show_rows(rows, as_json=True)

    assert "a [b]" in output.getvalue() and "1.500" in output.getvalue()
    assert json.loads(capsys.readouterr().out) == rows


def test_an_empty_table_is_a_sentence() -> None:
    output = io.StringIO()

    show_rows([], as_json=False, empty="nothing ran yet", console=Console(file=output))

    assert output.getvalue().strip() == "nothing ran yet"
