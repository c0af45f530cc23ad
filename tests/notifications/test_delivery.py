"""Telling never takes longer than allowed and never raises."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mlops.notifications.alerts import Alert
from mlops.notifications.channels import ChannelError, Mail, Webhook
from mlops.notifications.delivery import Delivery, deliver
from mlops.notifications.formats import as_json

ALERT = Alert(kind="test", incident="test", title="a test")


class Stuck:
    """A channel that ignores its time-out."""

    name = "stuck"

    def __init__(self) -> None:
        self.release = threading.Event()

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        self.release.wait()
        return ""


class Broken:
    """A channel whose own fault quotes a secret."""

    name = "broken"

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        raise RuntimeError("https://hooks.example.org/hush")


class Flaky:
    """A channel that fails at first."""

    name = "flaky"

    def __init__(self, failures: int, *, passing: bool) -> None:
        self.failures = failures
        self.passing = passing
        self.tried = 0

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        self.tried += 1
        if self.tried <= self.failures:
            raise ChannelError("busy", passing=self.passing)
        return ""


def test_what_hangs_is_given_up_and_the_others_are_told(web: Any, mail: Any) -> None:
    # Given webhooks that hang, in two ways, a mail server that says nothing, and a channel that
    # takes no notice of time
    web.answers = {"/hang": ["hang"], "/drip": ["drip"]}
    mail.silent = True
    stuck = Stuck()
    bad = [
        Webhook("webhook", web.url("/hang"), as_json),
        Webhook("webhook", web.url("/drip"), as_json),
        Mail(f"smtp://127.0.0.1:{mail.port}", "a@b.org", ("c@d.org",)),
        stuck,
    ]
    good = Webhook("webhook", web.url("/good"), as_json)
    # When an alert is delivered: it comes back, though none of them ever answers
    delivery = deliver([*bad, good], ALERT, 2)
    # Then they are named, and the good one was told
    assert [sent.delivered for sent in delivery.sent] == [False, False, False, False, True]
    assert all("no answer" in sent.detail for sent in delivery.sent[:4])
    assert delivery.reached_somebody and len(web.bodies("/good")) == 1
    stuck.release.set()


def test_a_channel_of_errors_costs_the_others_nothing(
    web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = Webhook("webhook", web.url("/good"), as_json)
    delivery = deliver([Broken(), good], ALERT, 30)
    assert [sent.detail for sent in delivery.sent] == ["failed with RuntimeError", ""]
    assert "hush" not in caplog.text


def test_what_may_pass_is_tried_once_more() -> None:
    once, twice = Flaky(1, passing=True), Flaky(2, passing=True)
    for_good = Flaky(1, passing=False)
    delivery = deliver([once, twice, for_good], ALERT, 30)
    assert [sent.delivered for sent in delivery.sent] == [True, False, False]
    assert (once.tried, twice.tried, for_good.tried) == (2, 2, 1)


def test_nobody_to_tell_is_no_failure() -> None:
    assert deliver([], ALERT, 1) == Delivery() and Delivery().reached_somebody
