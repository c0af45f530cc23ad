"""The channels by which messages are sent: mail and webhooks.

Failures are described in our own words: the libraries' messages quote addresses, and the
address of a webhook is its password.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit

from mlops import extensions
from mlops.errors import ConfigurationError
from mlops.notifications.alerts import Alert
from mlops.notifications.formats import as_json, as_slack, as_teams, as_text
from mlops.settings import NotificationSettings

_NO_ANSWER: Final = "no answer in time"
_UNREACHABLE: Final = "cannot be reached"
_UNTRUSTED: Final = "the certificate is not trusted"


class ChannelError(Exception):
    """A message was not delivered; the text holds no secret.

    Args:
        reason: In words.
        passing: Whether trying again at once may help.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@runtime_checkable
class Channel(Protocol):
    """One way to tell people."""

    @property
    def name(self) -> str:
        """What a person calls it, without its secrets."""

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        """Deliver an alert; return what is worth knowing all the same, mostly nothing.

        Raises:
            ChannelError: If it was not delivered.
        """


@dataclass(frozen=True)
class Webhook:
    """Posts JSON to a URL.

    Args:
        kind: What understands the format, for `name`.
        url: Its secret address.
        render: Turns an alert into the body.
    """

    kind: str
    url: str = field(repr=False)
    render: Callable[[Alert], dict[str, Any]]

    @property
    def name(self) -> str:
        """Kind and host: the rest of the address is secret."""
        return f"{self.kind} {_host(self.url)}"

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        """Post an alert; raises what `Channel.send` raises."""
        import requests

        if not self.url.startswith(("http://", "https://")):
            raise ChannelError("the address must begin with https:// or http://")
        try:
            answer = requests.post(
                self.url,
                json=self.render(alert),
                timeout=timeout_seconds,
                allow_redirects=False,  # a redirected POST would arrive as a GET
                stream=True,  # nobody reads what it says
            )
        except requests.Timeout:
            raise ChannelError(_NO_ANSWER) from None
        except requests.exceptions.SSLError:
            raise ChannelError(_UNTRUSTED) from None
        except requests.ConnectionError:
            raise ChannelError(_UNREACHABLE, passing=True) from None
        except (requests.RequestException, ValueError):
            raise ChannelError("the address is not an HTTP URL") from None
        answer.close()
        if not 200 <= answer.status_code < 300:
            passing = answer.status_code >= 500 or answer.status_code == 429
            raise ChannelError(f"answered {answer.status_code}", passing=passing)
        return ""


@dataclass(frozen=True)
class Mail:
    """Sends mail through an SMTP server.

    Args:
        url: ``smtp[s]://user:password@host:port``.
        sender: Address in From.
        recipients: Addresses in To.
    """

    url: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]

    @property
    def name(self) -> str:
        """The host."""
        return f"mail {_host(self.url)}"

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        """Send an alert; raises what `Channel.send` raises."""
        if not self.recipients:
            raise ChannelError("notifications.mail_to is empty")
        try:
            message = self._message(alert)
        except ValueError:
            raise ChannelError("mail_from or mail_to holds no mail address") from None
        try:
            with self._connect(timeout_seconds) as server:
                refused = server.send_message(message, self.sender, self.recipients)
        except ssl.SSLError:
            raise ChannelError(_UNTRUSTED) from None
        except TimeoutError:
            raise ChannelError(_NO_ANSWER) from None
        except smtplib.SMTPAuthenticationError:
            raise ChannelError("the user or the password was refused") from None
        except smtplib.SMTPRecipientsRefused:
            raise ChannelError("every recipient was refused") from None
        except smtplib.SMTPResponseException as error:
            passing = 400 <= error.smtp_code < 500  # RFC 5321, 4.2.1: transient
            raise ChannelError(f"answered {error.smtp_code}", passing=passing) from None
        except (smtplib.SMTPException, OSError):
            raise ChannelError(_UNREACHABLE, passing=True) from None
        total = len(self.recipients)
        return f"{len(refused)} of {total} recipients were refused" if refused else ""

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = f"[mlops] {alert.title}"
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Date"] = formatdate(alert.at.timestamp())
        message["Message-ID"] = make_msgid(domain="mlops")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
        message.set_content(as_text(alert))
        return message

    def _connect(self, timeout_seconds: float) -> smtplib.SMTP:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or parts.scheme not in ("smtp", "smtps"):
            raise ChannelError("notifications.smtp_url must be smtp[s]://user:password@host:port")
        trust = ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port or 465, timeout=timeout_seconds, context=trust
            )
        else:
            server = smtplib.SMTP(host, port or 587, timeout=timeout_seconds)
        try:
            server.ehlo()
            encrypted = parts.scheme == "smtps"
            if not encrypted and server.has_extn("starttls"):
                server.starttls(context=trust)
                encrypted = True
            if parts.username:
                if not encrypted and host not in ("localhost", "127.0.0.1", "::1"):
                    raise ChannelError("the server offers no encryption: no password is sent")
                server.login(unquote(parts.username), unquote(parts.password or ""))
        except BaseException:
            server.close()
            raise
        return server


@dataclass(frozen=True)
class UnloadableChannel:
    """Stands for channels in ``extensions/channels/`` that cannot be loaded.

    What sends messages must not stop for that; it fails to deliver one, as if a server were down.

    Args:
        reason: Names the file.
    """

    reason: str
    name: str = "extensions/channels"

    def send(self, alert: Alert, timeout_seconds: float) -> str:
        """Say why nothing is sent; raises what `Channel.send` raises."""
        raise ChannelError(self.reason)


def _added() -> tuple[Channel, ...]:
    try:
        return extensions.added("channels", Channel)
    except ConfigurationError as error:
        return (UnloadableChannel(error.message),)


def channels_of(settings: NotificationSettings) -> tuple[Channel, ...]:
    """Return every channel that is configured or added in ``extensions/channels/``."""
    smtp_url = settings.smtp_url.get_secret_value()
    mails = [Mail(smtp_url, settings.mail_from, settings.mail_to)] if smtp_url else []
    webhooks = (
        Webhook(kind, url.get_secret_value(), render)
        for kind, urls, render in (
            ("slack", settings.slack_webhooks, as_slack),
            ("teams", settings.teams_webhooks, as_teams),
            ("webhook", settings.webhooks, as_json),
        )
        for url in urls
    )
    return (*mails, *webhooks, *_added())


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or '?'}:{parts.port}" if parts.port else parts.hostname or "?"
    except ValueError:
        return "?"
