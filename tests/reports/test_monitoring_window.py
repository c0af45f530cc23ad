"""The report of a window: findings in words, live errors, and the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.wording import DatasetWords
from mlops.registry.versions import VersionInfo
from mlops.reports.document import render
from mlops.reports.facts import WindowFacts
from mlops.reports.monitoring_window import monitoring_window
from mlops.settings import load_settings

WATCHED = {each.name: each.meaning for each in TaxiTrips().watching(load_settings()).features}
Make = Callable[..., Any]


def test_an_alarm_is_told_in_words_with_its_decision(
    make_window: Make, decide: Make, read_page: Make, words: DatasetWords
) -> None:
    quiet, loud = make_window(0), make_window(1, alarming=True)
    facts = WindowFacts(loud, words, loud.end, WATCHED, None, (quiet, loud), decide(quiet, loud))

    page = read_page(render(monitoring_window(facts)))

    for known in (
        "Version 1, 2024-03-02 00:00 to 2024-03-03 00:00 UTC",
        "5 alarms were raised",
        "their RMSE is 6.00 min; 4.00 min was expected",
        "retrain",
        "pipeline retraining, run 12",
        "2 of the last 3 windows show a change of drift",
        "where trips begin (pickup_zone) has an unusual distribution: PSI 0.300, limit",
        "Mean absolute error by hour",
        "Mean absolute error by pickup borough",
        "5.90 to 6.10",
        "not judged",
        "Live error",
    ):
        assert known in page.text, known
    # Parts of the day come in the order of the day.
    assert page.text.index("night 5,000") < page.text.index("evening 5,000")


def test_a_quiet_window_without_labels_says_so(
    make_window: Make, read_page: Make, words: DatasetWords
) -> None:
    window = make_window(labelled=False)

    page = read_page(render(monitoring_window(WindowFacts(window, words, window.end))))

    assert "Nothing was unusual. The actual duration of these trips is not known yet." in page.text
    assert "No decision is based on this window yet." in page.text
    assert page.text.count("duration of these trips is not known yet") == 2


def test_what_hindered_an_action_is_shown(
    make_window: Make, decide: Make, read_page: Make, words: DatasetWords, hostile: str
) -> None:
    window = make_window(alarming=True)
    decision = decide(window, problem=hostile)

    page = read_page(
        render(monitoring_window(WindowFacts(window, words, window.end, decision=decision)))
    )

    assert f"Could not be started {hostile}" in page.text
    assert "mlops retrain" in page.text


def test_a_version_that_is_gone_is_no_hindrance(
    make_window: Make, read_page: Make, words: DatasetWords, by_hand: VersionInfo
) -> None:
    window = make_window()
    missing = ("The registry no longer has version 1.",)

    page = read_page(
        render(monitoring_window(WindowFacts(window, words, window.end, missing=missing)))
    )
    assert missing[0] in page.text

    known = WindowFacts(window, words, window.end, info=by_hand)
    assert not monitoring_window(known).notices
