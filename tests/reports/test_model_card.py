"""A card says what is known of a version, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mlops.datasets.wording import DatasetWords
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.trail import Promotion
from mlops.registry.versions import VersionInfo
from mlops.reports.document import render
from mlops.reports.facts import CardFacts
from mlops.reports.gathering import gather_card
from mlops.reports.model_card import model_card

AT = datetime(2024, 3, 2, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def facts(project: Any) -> CardFacts:
    return replace(gather_card(project.settings, "champion"), windows=())


def test_a_card_tells_everything_in_order(
    facts: CardFacts, read_page: Callable[[str], Any]
) -> None:
    card = model_card(facts)

    page = read_page(render(card))

    assert [section.title for section in card.sections] == [
        "Model details",
        "Intended use",
        "Data",
        "Quality",
        "Fairness by place and time",
        "Prediction intervals",
        "Explanation",
        "The gate's verdict",
        "Deployments",
        "Live performance",
        "Ethical considerations",
        "Caveats and recommendations",
        "Receipt",
    ]
    assert facts.manifest is not None and facts.examination is not None and facts.missing == ()
    overall = facts.examination.overall
    assert f"mean absolute error was {overall.mae.value:.2f} min" in page.text
    for known in (
        "Synthetic data.",
        "Version 1 predicts how many minutes a taxi trip",
        "It was trained on synthetic trips of green taxis.",
        "It is the champion",
        facts.manifest.sha256,
        facts.manifest.extraction.files[0].sha256,
        "It is worst for trips with",
        "By pickup borough",
        "By drop-off borough",
        "Errors by part of the day",
        "Errors by day of week",
        "exact Shapley values",
        "A long trip",
        "became champion, as the first one",
        "Monitoring has not measured this version yet.",
        "mlops reproduce 1",
        "Mitchell",
    ):
        assert known in page.text, known


def test_a_version_registered_by_hand_has_a_card(
    by_hand: VersionInfo, words: DatasetWords, read_page: Callable[[str], Any]
) -> None:
    moves = (
        Promotion(
            version=5, source="", previous=4, at=AT, reason=by_hand.promotion_reason, by="<b>me</b>"
        ),
    )
    facts = CardFacts("trip-duration", by_hand, words, AT, missing=("Nothing is.",), trail=moves)

    page = read_page(render(model_card(facts)))

    assert "Its errors are not known" in page.text
    assert "There is no receipt" in page.text
    assert "The gate has not judged this version" in page.text
    assert "Some data is missing. Nothing is." in page.text
    assert "in place of version 4" in page.text
    # What people wrote is read, not run.
    assert page.text.count(by_hand.promotion_reason) == 2
    assert "<b>me</b>" in page.text


def test_without_its_snapshot_a_card_shows_what_was_stored(
    facts: CardFacts, read_page: Callable[[str], Any]
) -> None:
    gone = replace(facts, manifest=None, examination=None, missing=("The snapshot is gone.",))

    page = read_page(render(model_card(gone)))

    evaluation = facts.info.evaluation
    assert evaluation is not None
    assert f"mean absolute error was {evaluation.metrics.mae:.2f} min" in page.text
    assert "as registered" in page.text and "The snapshot is gone." in page.text
    # The receipt still names the source files.
    assert facts.sources[0].sha256 in page.text


def test_a_refused_version_says_so_first(facts: CardFacts, read_page: Callable[[str], Any]) -> None:
    rule = RuleResult(
        rule="slices", value=0.2, sense="<=", limit=0.05, unit="%", passed=False, why="worse"
    )
    verdict = Verdict(passed=False, rules=(rule,), summary="refused by slices: worse")
    refused = replace(facts, info=facts.info.model_copy(update={"verdict": verdict}))

    card = model_card(refused)

    assert any(notice.text == verdict.summary for notice in card.notices)
    assert "refused" in read_page(render(card)).text


def test_live_performance_is_shown_once_labels_have_arrived(
    facts: CardFacts, make_window: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    waiting = replace(facts, windows=(make_window(labelled=False),))
    assert "no actual duration has arrived yet" in render(model_card(waiting))

    watched = replace(facts, windows=(make_window(0), make_window(1, alarming=True)))
    page = read_page(render(model_card(watched)))

    assert make_window(1).window in page.text
    assert "5.90 to 6.10" in page.text


def test_only_a_champion_answers_requests(facts: CardFacts) -> None:
    def standing(**update: Any) -> str:
        info = facts.info.model_copy(update=update)
        return model_card(replace(facts, info=info)).lead[-1]

    assert "it has answered requests since" in standing(aliases=("champion",), promoted_at=AT)
    assert "does not answer requests yet" in standing(aliases=("challenger",), promoted_at=None)
    assert "never was champion" in standing(aliases=(), promoted_at=None)
    last = standing(aliases=("previous_champion",), promoted_at=AT - timedelta(days=1))
    assert "it last became champion at 2024-03-01" in last
