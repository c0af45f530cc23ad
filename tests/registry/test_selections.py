"""The record of selections: the last one, any of them, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops.errors import DamagedFileError
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.registry.receipts import Receipt
from mlops.registry.selections import (
    Selection,
    SelectionOutcome,
    note_outcome,
    read_selection,
    write_selection,
)
from mlops.settings import Settings

AT = datetime(2024, 3, 1, tzinfo=timezone.utc)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def select(
    receipt: Receipt, evaluation: Evaluation, verdict: Callable[[bool], Verdict]
) -> Callable[..., Selection]:
    def make(run: str, at: datetime = AT) -> Selection:
        return Selection(
            run=run,
            at=at,
            candidates=(),
            winner="lasso",
            champion=None,
            verdict=verdict(True),
            receipt=receipt,
            evaluation=evaluation,
        )

    return make


def test_there_is_none_before_the_first(settings: Settings) -> None:
    assert read_selection(settings) is None
    assert read_selection(settings, "7") is None


def test_the_last_is_the_one_judged_last(
    settings: Settings, select: Callable[..., Selection]
) -> None:
    # Given a run with a higher number that was judged earlier, as after a database was made anew
    write_selection(settings, select("12", AT - timedelta(days=1)))
    write_selection(settings, select("3"))

    # Then
    assert read_selection(settings) == select("3")
    assert read_selection(settings, "12") == select("12", AT - timedelta(days=1))


def test_what_came_of_it_is_added(settings: Settings, select: Callable[..., Selection]) -> None:
    write_selection(settings, select("3"))
    outcome = SelectionOutcome(
        version=4, promoted=False, run_id="abc", summary="version 4 is challenger"
    )

    # When
    note_outcome(settings, "3", outcome)

    # Then
    assert read_selection(settings) == select("3").model_copy(update={"outcome": outcome})


def test_an_outcome_without_a_selection_is_no_selection(settings: Settings) -> None:
    note_outcome(
        settings, "3", SelectionOutcome(version=4, promoted=True, run_id="abc", summary="")
    )

    assert read_selection(settings) is None


def test_a_damaged_file_hides_no_other(
    settings: Settings, select: Callable[..., Selection], caplog: pytest.LogCaptureFixture
) -> None:
    write_selection(settings, select("3"))
    (settings.selections / "4.json").write_text("{")

    assert read_selection(settings) == select("3")
    assert "4.json: the file is damaged" in caplog.text
    assert "it is left out" in caplog.text and "for a new one: mlops run" in caplog.text
    with pytest.raises(DamagedFileError, match=r"4\.json"):
        read_selection(settings, "4")
