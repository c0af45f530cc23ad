"""One story per kind of trouble: what, how bad, since when, where to look, what to do; its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.monitoring.findings.alerting import GROUPS, WORDS, streak_of, tell
from mlops.monitoring.findings.deciding import Situation, make_decision
from mlops.monitoring.findings.measurements import FindingKind
from mlops.monitoring.findings.policy import Champion, Decision, WindowOutcome
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    read_decisions,
    write_decision,
    write_window,
)
from mlops.notifications import events
from mlops.registry.trail import Promotion
from mlops.retraining.records import PendingApproval, ask_for_approval, settle_approval
from mlops.settings import Settings, load_settings

Maker = Callable[..., WindowRecord]
MARCH = datetime(2024, 3, 1, tzinfo=timezone.utc)
WITH_LABELS = ("drift", "quality", "performance")


@pytest.fixture
def settings(tmp_path: Path, web: Any) -> Settings:
    return load_settings(
        {
            "home": tmp_path,
            "notifications.webhooks": web.url("/hook"),
            "notifications.timeout_seconds": 30,
            "observability.public_url": "https://mage.example/",
        }
    )


class Watch:
    """Looks every hour and tells what it saw."""

    def __init__(self, settings: Settings, web: Any) -> None:
        self.settings, self.web = settings, web
        self.at = MARCH + timedelta(days=2)
        self.champion = Promotion(
            version=3, source="", previous=None, at=MARCH, reason="", by="ann"
        )

    def look(self, *windows: WindowRecord, **outcome: Any) -> list[Any]:
        """Return what was told of a look, after which something may have been started."""
        before = len(self.web.received)
        self.at += timedelta(hours=1)
        for window in windows:
            write_window(self.settings, window)
        record = make_decision(self.settings, Situation((self.champion,), lambda _: None, self.at))
        assert record is not None
        if outcome:
            record = record.model_copy(update=outcome)
            write_decision(self.settings, record)
        tell(self.settings, record)
        return self.web.bodies("/hook")[before:]

    def promote(self, version: int) -> None:
        at = self.at + timedelta(minutes=1)
        self.champion = Promotion(
            version=version, source="", previous=3, at=at, reason="", by="ann"
        )


@pytest.fixture
def watch(settings: Settings, web: Any) -> Watch:
    return Watch(settings, web)


def test_every_kind_of_finding_is_reported_in_one_group() -> None:
    listed = [kind for kinds in GROUPS.values() for kind in kinds]

    assert sorted(listed) == sorted(FindingKind.__args__)
    assert set(WORDS) == set(listed)


def test_an_alert_says_all_that_one_needs_to_act(watch: Watch, make_window: Maker) -> None:
    [told] = watch.look(make_window(24), make_window(25, "drift"))

    assert (told["kind"], told["severity"]) == ("monitoring", "warning")
    assert told["title"] == "version 3: drift"
    assert "drift is odd: 5 min (limit 4.5)." in told["text"]
    assert told["facts"]["since"] == "2024-03-02 01:00 UTC"
    assert told["facts"]["windows"] == "1 in a row, the latest v3-served-20240302T010000"
    assert told["link"] == "https://mage.example/pipelines/monitoring/dashboard"
    assert told["command"] == "mlops monitor v3-served-20240302T010000"


def test_trouble_of_two_kinds_is_two_incidents_and_all_of_one_kind_is_one(
    watch: Watch, make_window: Maker
) -> None:
    told = watch.look(make_window(24, "drift", "performance", "labels", "quality", "serving"))

    assert [(alert["title"], alert["severity"]) for alert in told] == [
        (
            "version 3: worse predictions, drift, a different distribution of labels",
            "error",
        ),
        ("version 3: broken data", "warning"),
        ("version 3: a slow or failing server", "error"),
    ]


@pytest.mark.parametrize(
    ("findings", "more"), [(4, []), (5, ["1 more finding."]), (6, ["2 more findings."])]
)
def test_the_worst_four_findings_are_told_and_the_others_counted(
    watch: Watch, make_window: Maker, findings: int, more: list[str]
) -> None:
    window = make_window(24, "drift")
    alarm = window.report.alarms[0]
    alarms = tuple(
        alarm.model_copy(update={"subject": f"feature {n}", "why": f"finding {n}"})
        for n in range(findings)
    )
    report = window.report.model_copy(update={"findings": alarms})

    [told] = watch.look(window.model_copy(update={"report": report}))

    assert told["text"].splitlines() == [*(f"finding {n}." for n in range(4)), *more]


def test_it_is_told_once_while_it_lasts(watch: Watch, make_window: Maker) -> None:
    assert len(watch.look(make_window(24, "quality"))) == 1
    assert watch.look() == []
    assert watch.look(make_window(25, "quality")) == []
    # but at once when those who ask suffer from it
    assert [t["severity"] for t in watch.look(make_window(26, "drift"))] == ["warning", "info"]
    assert [t["severity"] for t in watch.look(make_window(27, "drift", "performance"))] == ["error"]


def test_a_story_from_the_first_window_to_the_last(
    watch: Watch, make_window: Maker, settings: Settings
) -> None:
    # Given an abnormal window, which is told
    watch.look(make_window(24, "drift"))
    # When another one leads to a retraining
    due = {"started": "retraining", "started_run": 12, "problem": ""}
    [started] = watch.look(make_window(25, "drift"), **due)
    # Then that is told with what was told before
    assert started["title"] == "version 3: drift"
    assert "retraining started as run 12" in started["text"]
    assert "version 3: abnormal" in started["facts"]["so far"]
    assert started["facts"]["since"] == "2024-03-02 00:00 UTC"
    # And nothing more while it runs
    assert watch.look(make_window(26, "drift")) == []
    # When the new version waits for approval
    waiting = PendingApproval(
        version=4, reason="", verdict="4 % better", run_id=12, requested_at=watch.at
    )
    ask_for_approval(settings, waiting)
    # Then the command is to approve it
    [approve] = watch.look()
    assert approve["command"] == "mlops approve 4"
    assert "version 4 waits for approval: 4 % better" in approve["text"]
    # When it is promoted
    settle_approval(settings, 4)
    events.promoted(settings, 4, 3, "approved", "ann")
    promoted = watch.web.bodies("/hook")[-1]
    # Then the promotion says what it ends
    assert "retraining started as run 12" in promoted["facts"]["so far"]
    # And it is over with its first quiet window, not before
    watch.promote(4)
    assert watch.look() == []
    after = watch.at - MARCH + timedelta(hours=2)
    [over] = watch.look(make_window(int(after.total_seconds() / 3600), version=4))
    assert (over["kind"], over["title"]) == ("recovered", "resolved: version 3: drift")
    story = [part[17:] for part in over["facts"]["so far"].split(" → ")]
    assert story == [
        "version 3: abnormal",
        "retraining started as run 12",
        "version 4 waits for approval",
        "version 4 is champion instead of 3",
    ]
    assert "No such finding in v4-served-" in over["text"]
    assert watch.look() == []


def test_errors_are_over_when_labels_say_so(watch: Watch, make_window: Maker) -> None:
    # given worse predictions, and a new champion
    watch.look(make_window(24, "performance", "drift"), make_window(25, "performance", "drift"))
    watch.promote(4)
    hour = int((watch.at - MARCH + timedelta(hours=2)).total_seconds() / 3600)

    # when its first window is quiet, but no trip has ended: nothing is known of its errors
    assert watch.look(make_window(hour, version=4)) == []

    # then it is over once trips have ended and errors are as usual
    [over] = watch.look(make_window(hour + 1, version=4, quiet=WITH_LABELS))
    assert over["kind"] == "recovered"


def test_what_could_not_be_started_is_for_a_person(watch: Watch, make_window: Maker) -> None:
    problem = {"problem": "no server answers at http://127.0.0.1:6789"}
    [told] = watch.look(make_window(24, "drift"), make_window(25, "drift"), **problem)

    assert told["severity"] == "error"
    assert "a retraining is due, but no server answers" in told["text"]
    assert told["command"].startswith("mlops retrain --force --reason 'monitoring: 2 of")


def test_an_alarm_of_labels_lasts_while_newer_windows_have_none(
    watch: Watch, make_window: Maker
) -> None:
    worse = make_window(24, "performance", quiet=WITH_LABELS)
    assert len(watch.look(worse)) == 1

    assert watch.look(make_window(25), make_window(26)) == []
    [over] = watch.look(make_window(27, quiet=WITH_LABELS))
    assert over["kind"] == "recovered"


def test_who_could_not_be_reached_is_told_at_the_next_look(
    watch: Watch, make_window: Maker
) -> None:
    watch.web.answers["/hook"] = [500, 500, 200]
    watch.look(make_window(24, "drift"))

    assert [told["kind"] for told in watch.look()] == ["monitoring"]


def test_a_streak_begins_with_the_first_abnormal_window_in_a_row(make_window: Maker) -> None:
    windows = [
        make_window(0, "performance", quiet=WITH_LABELS),
        make_window(1, quiet=WITH_LABELS),
        make_window(2, "performance", quiet=WITH_LABELS),
        make_window(3, "drift"),  # nothing is known of its errors
        make_window(4, "performance", quiet=WITH_LABELS),
        make_window(5, "drift"),
    ]

    errors, drift = (streak_of(windows, kind) for kind in ("performance", "drift"))

    assert errors is not None and drift is not None
    assert (errors.since, errors.windows) == (windows[2].start, 2)
    assert errors.latest == windows[4]
    assert (drift.since, drift.windows) == (windows[5].start, 1)
    assert streak_of(windows, "quality") is None


def test_nothing_is_said_of_a_champion_that_nobody_asked_yet(
    watch: Watch, make_window: Maker, settings: Settings
) -> None:
    watch.look(make_window(24, "drift"))
    watch.promote(4)

    assert watch.look() == []
    record: DecisionRecord = read_decisions(settings)[-1]
    assert record.decision.champion.version == "4"


def test_a_rollback_is_told_with_the_trouble_that_it_mends(
    watch: Watch, make_window: Maker
) -> None:
    # given a young champion whose answers fail, and an abnormal model beside it
    window = make_window(24, "serving", "quality", "staleness")
    write_window(watch.settings, window)
    outcome = WindowOutcome.of(window.report, window.end)
    decision = Decision(
        step="rollback",
        at=watch.at,
        reasons=("version 3 has been champion for two days",),
        champion=Champion(version="3", promoted_at=MARCH),
        windows=(outcome,),
    )

    tell(watch.settings, DecisionRecord(decision=decision, started="rollback", started_run=5))

    told = {alert["title"]: alert["text"] for alert in watch.web.bodies("/hook")}
    assert {title: "started as run 5" in text for title, text in told.items()} == {
        "version 3: an outdated model": False,
        "version 3: broken data": False,
        "version 3: a slow or failing server": True,
    }
