"""Messages arrive at real receivers; what goes wrong is said without giving secrets away."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.servers import free_ports
from mlops.notifications.alerts import Alert
from mlops.notifications.channels import ChannelError, Mail, Webhook, channels_of
from mlops.notifications.delivery import deliver
from mlops.notifications.formats import as_json, as_slack, as_teams
from mlops.settings import Settings

ALERT = Alert(
    kind="failure",
    incident="failure:training",
    title="training failed\nin <fit> & more",
    text="ValueError: <!channel> broken",
    facts={"run": "12", "log": "/logs/fit.log"},
    link="https://mage.example/runs/12",
    command="mlops pipeline run training",
)
PATIENCE = 30.0


@pytest.fixture
def nobody() -> int:
    """Return a port on which nobody listens."""
    return free_ports(1)[0]


def mail_to(port: int, scheme: str = "smtp", login: str = "") -> Mail:
    url = f"{scheme}://{login}127.0.0.1:{port}"
    return Mail(url, "mlops <mlops@example.org>", ("ops@example.org", "boss@example.org"))


def test_a_mail_arrives_whole(mail: Any) -> None:
    mail_to(mail.port).send(ALERT, PATIENCE)
    ((message, recipients, encrypted),) = mail.mails
    assert recipients == ["ops@example.org", "boss@example.org"] and not encrypted
    assert message["Subject"] == "[mlops] training failed in <fit> & more"
    assert message["To"] == "ops@example.org, boss@example.org"
    assert message["Auto-Submitted"] == "auto-generated" and message["Message-ID"]
    body = message.get_content()
    for part in (ALERT.text, "/logs/fit.log", ALERT.link, ALERT.command):
        assert part in body


def test_a_password_is_percent_decoded_and_sent(mail: Any) -> None:
    mail.password = "p@ss/word"
    mail_to(mail.port, login="me%40example.org:p%40ss%2Fword@").send(ALERT, PATIENCE)
    assert mail.logins == [("me@example.org", "p@ss/word")] and len(mail.mails) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_is_encrypted_where_the_server_can(
    mail: Any, tls: ssl.SSLContext, certificate: Path, scheme: str, monkeypatch: Any
) -> None:
    # Given a server that encrypts, whose certificate we trust
    mail.tls, mail.wrapped, mail.password = tls, scheme == "smtps", "hush"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    # When a mail is sent, then nothing of it was readable
    mail_to(mail.port, scheme, "me:hush@").send(ALERT, PATIENCE)
    assert [encrypted for _, _, encrypted in mail.mails] == [True]
    assert mail.logins == [("me", "hush")]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    mail: Any, tls: ssl.SSLContext, scheme: str
) -> None:
    mail.tls, mail.wrapped, mail.password = tls, scheme == "smtps", "hush"
    with pytest.raises(ChannelError, match="certificate is not trusted"):
        mail_to(mail.port, scheme, "me:hush@").send(ALERT, PATIENCE)
    assert mail.logins == [] and mail.mails == []


def test_no_password_is_sent_in_clear_to_another_machine(
    mail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server without encryption on what counts as another machine
    mail.password = "hush"
    find = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: find(
            "127.0.0.1" if host == "mail.example.org" else host, *rest, **more
        ),
    )
    remote = Mail(f"smtp://me:hush@mail.example.org:{mail.port}", "a@b.org", ("c@d.org",))
    # Then the password stays here
    with pytest.raises(ChannelError, match="no password is sent"):
        remote.send(ALERT, PATIENCE)
    assert mail.logins == []


def test_a_refused_recipient_is_told_of_while_the_others_get_their_mail(mail: Any) -> None:
    mail.refused = {"boss@example.org"}
    (sent,) = deliver([mail_to(mail.port)], ALERT, PATIENCE).sent
    assert sent.delivered and "1 of 2 recipients" in sent.detail
    assert [recipients for _, recipients, _ in mail.mails] == [["ops@example.org"]]
    mail.refused.add("ops@example.org")
    with pytest.raises(ChannelError, match="every recipient"):
        mail_to(mail.port).send(ALERT, PATIENCE)


@pytest.mark.parametrize(
    ("kind", "render"), [("slack", as_slack), ("teams", as_teams), ("webhook", as_json)]
)
def test_a_webhook_gets_its_format(web: Any, kind: str, render: Any) -> None:
    Webhook(kind, web.url("/hook"), render).send(ALERT, PATIENCE)
    (body,) = web.bodies("/hook")
    text = str(body)
    for part in ("training failed in", "/logs/fit.log", ALERT.link, ALERT.command):
        assert part in text
    if kind == "slack":
        assert "<!channel>" not in text, "a text must not call everybody"
        assert body["text"] == "*training failed in &lt;fit&gt; &amp; more*"
        assert body["attachments"][0]["color"].startswith("#")
    elif kind == "teams":
        (attachment,) = body["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert attachment["content"]["type"] == "AdaptiveCard"
    else:
        assert Alert.model_validate({k: v for k, v in body.items() if k != "severity"}) == ALERT
        assert body["severity"] == "error"


@pytest.mark.parametrize(
    ("status", "passing"), [(500, True), (429, True), (404, False), (302, False)]
)
def test_a_webhook_that_refuses_is_told_of(web: Any, status: int, passing: bool) -> None:
    web.answers["/hook"] = [status]
    with pytest.raises(ChannelError, match=f"answered {status}") as raised:
        Webhook("slack", web.url("/hook"), as_slack).send(ALERT, PATIENCE)
    assert raised.value.passing is passing


def failures(port: int, nobody: int) -> dict[str, tuple[Any, str]]:
    """Return channels whose address holds a secret, and what they should say."""
    return {
        "nobody listens": (
            Webhook("slack", f"http://127.0.0.1:{nobody}/services/hush", as_slack),
            "cannot be reached",
        ),
        "no such host": (
            Webhook("slack", "http://hush.invalid/hush", as_slack),
            "cannot be reached",
        ),
        "not HTTP": (Webhook("slack", "file:///etc/hush", as_slack), "https://"),
        "no URL": (Webhook("slack", "http://[hush", as_slack), "address"),
        "no mail server": (mail_to(nobody, login="me:hush@"), "cannot be reached"),
        "wrong password": (mail_to(port, login="me:hush@"), "password was refused"),
        "no mail scheme": (mail_to(port, "http", "me:hush@"), "smtp"),
        "no mail host": (Mail("smtp://me:hush@", "a@b.org", ("c@d.org",)), "smtp"),
        "nobody to write to": (Mail(f"smtp://me:hush@127.0.0.1:{port}", "a@b.org", ()), "mail_to"),
        "no address": (
            Mail(f"smtp://me:hush@127.0.0.1:{port}", "a\nb", ("c@d.org",)),
            "mail_from",
        ),
    }


@pytest.mark.parametrize("case", failures(0, 0))
def test_failures_are_named_without_secrets(
    mail: Any, nobody: int, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    mail.password = "another"
    channel, expected = failures(mail.port, nobody)[case]
    with caplog.at_level("DEBUG"):
        delivery = deliver([channel], ALERT, PATIENCE)
    (sent,) = delivery.sent
    assert not sent.delivered and expected in sent.detail
    told = f"{delivery!r} {channel!r}" + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("mlops")
    )
    if case != "no such host":  # there, the name of the host is the same word
        assert "hush" not in told


def test_every_configured_channel_is_used(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of(
        smtp_url="smtp://me:hush@mail.example.org:25",
        slack_webhooks="https://hooks.example.org/hush, https://chat.example.org/hush",
        teams_webhooks="https://teams.example.org/hush",
        webhooks="http://127.0.0.1:81/hush",
    )
    assert [channel.name for channel in channels_of(settings.notifications)] == [
        "mail mail.example.org:25",
        "slack hooks.example.org",
        "slack chat.example.org",
        "teams teams.example.org",
        "webhook 127.0.0.1:81",
    ]
    assert channels_of(settings_of().notifications) == ()
