"""One message per incident, not one per retry."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.notifications import events, incidents
from mlops.notifications.alerts import Alert
from mlops.notifications.delivery import Delivery, Sent
from mlops.notifications.events import BlockFailure
from mlops.notifications.incidents import Incident, notify, resolve
from mlops.settings import Settings, load_settings


def alert_of(incident: str = "failure:training", **fields: Any) -> Alert:
    return Alert(kind="failure", incident=incident, title="training failed", **fields)


def age(settings: Settings, minutes: float) -> None:
    """Let the incidents of a home have been told some time ago."""
    for file in (settings.home / "notifications").glob("*.json"):
        known = Incident.model_validate_json(file.read_bytes())
        earlier = known.told_at - timedelta(minutes=minutes)
        file.write_text(known.model_copy(update={"told_at": earlier}).model_dump_json())


def test_an_incident_is_told_once_until_it_is_old(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"), repeat_minutes=60)
    # When the same thing happens three times
    assert not notify(settings, alert_of()).suppressed
    assert notify(settings, alert_of()).suppressed
    assert notify(settings, alert_of(text="another word")).suppressed
    # Then it was told once; and something else at once
    assert len(web.bodies("/hook")) == 1
    assert not notify(settings, alert_of("failure:other")).suppressed
    # When it still happens after an hour, then it is told again, with what was kept back
    age(settings, 61)
    notify(settings, alert_of())
    last = web.bodies("/hook")[-1]
    assert len(web.bodies("/hook")) == 3
    assert last["facts"]["happened again"].startswith("2 times since ")
    assert notify(settings, alert_of()).suppressed


def test_the_end_of_an_incident_is_told_once(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    # Given nothing, there is nothing to tell
    assert resolve(settings, "failure:training") is None
    # When an incident ends
    notify(settings, alert_of())
    resolve(settings, "failure:training")
    assert resolve(settings, "failure:training") is None
    # Then that was told, and when it happens again that is new
    kinds = [(body["kind"], body["title"]) for body in web.bodies("/hook")]
    assert kinds == [
        ("failure", "training failed"),
        ("recovered", "resolved: training failed"),
    ]
    assert not notify(settings, alert_of()).suppressed


def test_what_reached_nobody_is_told_again(settings_of: Callable[..., Settings], web: Any) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    # Given a receiver that refuses, also the second attempt
    web.answers["/hook"] = [500, 500, 200]
    first = notify(settings, alert_of())
    assert not first.suppressed and not first.reached_somebody
    # When it happens again, then it is told
    second = notify(settings, alert_of())
    assert second.reached_somebody and not second.suppressed
    # And an end that reaches nobody is told later
    web.answers["/hook"] = [500, 500, 200]
    undelivered = resolve(settings, "failure:training")
    assert undelivered and not undelivered.reached_somebody
    assert resolve(settings, "failure:training") is not None
    assert resolve(settings, "failure:training") is None


def test_each_stage_of_an_incident_is_told_once_with_the_story_so_far(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"), repeat_minutes=0)

    def told(stage: str) -> list[Any]:
        before = len(web.received)
        alert = Alert(
            kind="monitoring",
            incident="monitoring:model",
            stage=stage,
            repeats=False,
            title=f"version 3: {stage}",
            link="https://mage.example/dashboard",
        )
        notify(settings, alert)
        return web.bodies("/hook")[before:]

    # Given an incident, of which people are not reminded
    (first,) = told("abnormal")
    assert (first["severity"], first["facts"]) == ("warning", {})
    assert told("abnormal") == []
    # When it comes to another stage, then that is told with what was told before
    (second,) = told("retraining started")
    assert second["facts"]["so far"].endswith(" abnormal")
    assert second["facts"]["since"].endswith(" UTC")
    # When it falls back, then that is nothing new
    assert told("abnormal") == []
    # When another message continues the story, then it can tell what came before
    so_far = incidents.append(settings, "monitoring:", "version 4 is champion")
    assert so_far.startswith("version 3: abnormal: ") and so_far.endswith(" retraining started")
    assert incidents.append(settings, "monitoring:other", "nothing") == ""
    assert told("version 4 is champion") == []
    # And the end tells it all, with where to look
    resolve(settings, "monitoring:model", "No such finding in w9")
    over = web.bodies("/hook")[-1]
    assert over["text"].startswith("No such finding in w9, 0 minutes after")
    assert over["link"] == "https://mage.example/dashboard"
    assert [line[17:] for line in over["facts"]["so far"].split(" → ")] == [
        "abnormal",
        "retraining started",
        "version 4 is champion",
    ]
    assert len(told("abnormal")) == 1


def test_a_remedy_that_fails_is_part_of_the_story(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    failure = BlockFailure("fit", "builtins.ValueError: 3 bad rows", Path("/logs/fit.log"))
    notify(
        settings, Alert(kind="monitoring", incident="monitoring:model", stage="x", title="drift")
    )

    events.run_failed(settings, "retraining", 12, [failure])
    events.run_failed(settings, "batch_inference", 13, [failure])
    resolve(settings, "monitoring:model")

    _, retraining, other, over = web.bodies("/hook")
    assert retraining["facts"]["so far"].startswith("drift: ")
    assert "so far" not in other["facts"]
    assert over["facts"]["so far"].endswith("run 12 failed")


def test_an_incident_noted_before_there_were_stories_is_not_told_anew(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    notify(settings, alert_of())
    (file,) = (settings.home / "notifications").glob("*.json")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({k: content[k] for k in ("incident", "title", "since", "told_at")}))

    assert notify(settings, alert_of()).suppressed


@pytest.mark.parametrize(
    ("minutes", "words"), [(5, "5 minutes"), (240, "4 hours"), (6 * 1_440, "6 days")]
)
def test_how_long_it_took_is_said_in_fitting_units(minutes: int, words: str) -> None:
    since = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    known = Incident(incident="x", title="it", since=since, told_at=since)

    assert f", {words} after" in incidents._over(known, "It works again").text


def test_two_at_once_tell_once(settings_of: Callable[..., Settings], web: Any) -> None:
    # Given a receiver that takes its time
    settings = settings_of(webhooks=web.url("/hook"))
    web.answers["/hook"] = ["wait"]
    first = threading.Thread(target=notify, args=(settings, alert_of()))
    first.start()
    while not web.received:
        first.join(0.01)
    # When somebody else tells of the same incident meanwhile, then that one does not wait
    assert notify(settings, alert_of()).suppressed
    web.release.set()
    first.join()
    assert len(web.received) == 1


def test_a_full_disk_or_a_damaged_file_silences_nobody(
    settings_of: Callable[..., Settings], web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    notify(settings, alert_of())
    for file in (settings.home / "notifications").glob("*.json"):
        file.write_text("{")
    assert not notify(settings, alert_of()).suppressed
    monkeypatch.setattr(incidents, "_sole", lambda *_: (_ for _ in ()).throw(OSError("full")))
    assert not notify(settings, alert_of()).suppressed
    assert resolve(settings, "failure:training") is None
    assert len(web.bodies("/hook")) == 3


def test_incidents_are_forgotten_after_a_month(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of()
    notify(settings, alert_of("failure:old"))
    folder = settings.home / "notifications"
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    notify(settings, alert_of("failure:new"))
    assert len(list(folder.glob("*.json"))) == 1


def test_an_incident_that_lasts_longer_than_a_month_is_not_told_anew(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    # Given an incident of last month that is met at every look
    settings = settings_of(webhooks=web.url("/hook"), repeat_minutes=10**6)
    notify(settings, alert_of("monitoring:model"))
    for file in (settings.home / "notifications").iterdir():
        os.utime(file, (0, 0))
    assert notify(settings, alert_of("monitoring:model")).suppressed

    # When others come and go
    notify(settings, alert_of("failure:new"))

    # Then it is still known, and its end is told
    assert notify(settings, alert_of("monitoring:model")).suppressed
    assert resolve(settings, "monitoring:model") is not None
    assert len(web.bodies("/hook")) == 3


def test_a_retry_that_fails_the_same_way_is_the_same_incident(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    failure = BlockFailure("fit", "builtins.ValueError: 3 bad rows", Path("/logs/fit.log"))
    again = BlockFailure("fit", "builtins.ValueError: 4 bad rows", Path("/logs/fit.log"))
    # When a run fails, is retried twice, and another run of the pipeline fails likewise
    for run_id, what in ((1, failure), (1, failure), (1, again), (2, failure)):
        events.run_failed(settings, "training", run_id, [what])
    # Then that is one message, which says all one needs
    (told,) = web.bodies("/hook")
    assert told["title"] == "training failed in fit" and told["text"] == failure.error
    assert told["facts"] == {"pipeline": "training", "run": "1", "log": "/logs/fit.log"}
    assert told["command"] == "mlops pipeline resume 1"
    assert told["link"] == "http://127.0.0.1:6789/pipelines/training/runs/1"
    # And another cause, and another pipeline, are others
    other = BlockFailure("load", "OSError: gone", Path("/logs/load.log"))
    events.run_failed(settings, "training", 1, [other, failure])
    events.run_failed(settings, "scoring", 3, [])
    assert len(web.bodies("/hook")) == 3
    assert web.bodies("/hook")[1]["facts"]["also failed"] == "fit"
    # And when the pipeline works again, all of its incidents are over, and only those
    events.run_succeeded(settings, "training")
    events.run_succeeded(settings, "training")
    recovered = [body["title"] for body in web.bodies("/hook")[3:]]
    assert sorted(recovered) == [
        "resolved: training failed in fit",
        "resolved: training failed in load",
    ]


def test_events_say_what_happened_and_what_to_do(
    settings_of: Callable[..., Settings], web: Any
) -> None:
    settings = settings_of(webhooks=web.url("/hook"))
    events.promoted(settings, 3, 2, "better by 4 %", "ann", deployment="d1")
    events.rolled_back(settings, 3, 2, "smoke test failed", "deployment", deployment="d1")
    events.refused(settings, "version 4", "too slow", "deployment", deployment="d2")
    events.refused(settings, "lasso", "RMSE 9 > 8", "model_selection")
    events.run_late(settings, "batch_inference", 7, 3600)
    told = [(body["kind"], body["title"], body["command"]) for body in web.bodies("/hook")]
    assert told == [
        ("promotion", "version 3 is champion instead of 2", "mlops rollback"),
        (
            "rollback",
            "version 3 was rolled back: version 2 is champion again",
            "mlops deployments d1",
        ),
        ("refused", "version 4 was refused", "mlops deployments d2"),
        ("refused", "lasso was refused", "mlops models --verdict"),
        ("sla", "batch_inference takes longer than 60 min", "mlops status"),
    ]
    assert web.bodies("/hook")[0]["facts"] == {"by": "ann", "deployment": "d1"}


# What happens to one incident, and whether anybody can be reached at that moment.
Story = st.lists(
    st.tuples(st.sampled_from(["happens", "ends", "an hour passes"]), st.booleans()), max_size=15
)


@given(story=Story)
def test_people_hear_of_each_incident_once_an_hour_and_of_its_end_once(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, bool]]
) -> None:
    settings = load_settings({"home": tmp_path_factory.mktemp("home")})
    heard: list[str] = []
    reachable = True

    def deliver(channels: Any, alert: Alert, timeout_seconds: float) -> Delivery:
        if reachable:
            heard.append(alert.kind)
        return Delivery(sent=(Sent(channel="x", delivered=reachable),))

    expected: list[str] = []
    told, open_ = False, False  # told within the hour; told and not over
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incidents, "deliver", deliver)
        for what, reachable in story:
            if what == "happens":
                notify(settings, alert_of())
                if not told and reachable:
                    expected.append("failure")
                    told = open_ = True
            elif what == "ends":
                resolve(settings, "failure:training")
                if open_ and reachable:
                    expected.append("recovered")
                    told = open_ = False
            else:
                age(settings, 61)
                told = False
    assert heard == expected
