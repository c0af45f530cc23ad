"""The report of a selection: candidates, verdict, search, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlops.registry.selections import SelectionOutcome
from mlops.reports.document import render
from mlops.reports.facts import RunFacts
from mlops.reports.gathering import gather_selection
from mlops.reports.training_run import training_run


@pytest.fixture(scope="module")
def facts(project: Any) -> RunFacts:
    return gather_selection(project.settings)


def with_outcome(facts: RunFacts, outcome: SelectionOutcome | None, **update: Any) -> RunFacts:
    selection = facts.selection.model_copy(update={"outcome": outcome, **update})
    return replace(facts, selection=selection)


def test_a_selection_is_told_from_data_to_version(
    facts: RunFacts, read_page: Callable[[str], Any]
) -> None:
    page = read_page(render(training_run(facts)))

    assert facts.selection.run == "7" and facts.missing == ()
    for known in (
        "Model selection, run 7",
        "Synthetic data.",
        "3 candidates for predicting",
        "squared_error (winner)",
        "global_mean (baseline)",
        "registered as version 1, which became champion at once",
        "There was no champion to compare it with.",
        "The search ran 2 trials",
        "2 trials of squared_error",
        "inputs that move the winner's predictions most",
        "Winner by pickup borough",
        facts.selection.receipt.data_hash,
        *(rule.why for rule in facts.selection.verdict.rules),
    ):
        assert known in page.text, known


def test_a_refusal_is_the_first_thing_that_is_said(
    facts: RunFacts, read_page: Callable[[str], Any]
) -> None:
    refused = SelectionOutcome(
        version=None, promoted=False, run_id="abc", summary="nothing registered"
    )
    verdict = facts.selection.verdict.model_copy(
        update={"passed": False, "summary": "refused by latency: it takes 2 s"}
    )

    report = training_run(with_outcome(facts, refused, verdict=verdict, champion=3))

    assert "refused it, so nothing was registered: refused by latency" in report.lead[1]
    page = read_page(render(report))
    assert "compared with version 3, the champion at that time" in page.text
    assert "mlops reproduce" not in page.text


def test_a_run_that_never_ended_is_told_as_far_as_it_came(facts: RunFacts) -> None:
    report = training_run(with_outcome(facts, None))

    assert "Nothing was registered" in report.lead[1]


def test_a_candidate_that_failed_says_why(
    facts: RunFacts, read_page: Callable[[str], Any], hostile: str
) -> None:
    first, *others = facts.selection.candidates
    failed = first.model_copy(update={"metrics": None, "error": hostile})
    selection = facts.selection.model_copy(update={"candidates": (*others, failed)})

    page = read_page(render(training_run(replace(facts, selection=selection, insights={}))))

    assert f"{first.family} could not be measured. {hostile}" in page.text
