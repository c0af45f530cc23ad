"""Hands one alert to every channel at the same time, within a time that nothing can stretch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from mlops.data.references import Reference
from mlops.notifications.alerts import Alert
from mlops.notifications.channels import Channel, ChannelError

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 2
_PAUSE_SECONDS: Final = 0.5


class Sent(Reference):
    """What became of an alert in one channel."""

    channel: str
    delivered: bool
    detail: str = ""  # why not, or not to all


class Delivery(Reference):
    """What became of an alert.

    Attributes:
        suppressed: Not sent, because the incident is known.
        sent: One entry per channel.
    """

    suppressed: bool = False
    sent: tuple[Sent, ...] = ()

    @property
    def reached_somebody(self) -> bool:
        """Whether a channel took it, or there is none to take it."""
        return not self.sent or any(sent.delivered for sent in self.sent)


def deliver(channels: Sequence[Channel], alert: Alert, timeout_seconds: float) -> Delivery:
    """Send an alert through all channels at once; never raises, never takes longer.

    Socket time-outs alone do not bound it: a server that sends a byte now and then holds a
    connection for ever. So each channel has a thread, which is left behind when time is up.

    Args:
        channels: Any number.
        alert: What to tell.
        timeout_seconds: For all of them together.
    """
    deadline = time.monotonic() + timeout_seconds
    outcomes: dict[int, tuple[bool, str]] = {}

    def send(place: int, channel: Channel) -> None:
        outcomes[place] = _send(channel, alert, deadline)

    threads = [
        threading.Thread(target=send, args=place, name=f"tell-{place[0]}", daemon=True)
        for place in enumerate(channels)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = False, f"no answer within {timeout_seconds:g} s"
    sent = []
    for place, channel in enumerate(channels):
        delivered, detail = outcomes.get(place, late)
        sent.append(Sent(channel=channel.name, delivered=delivered, detail=detail))
        if detail:
            logger.error("telling %s of %r: %s", channel.name, alert.title, detail)
    return Delivery(sent=tuple(sent))


def _send(channel: Channel, alert: Alert, deadline: float) -> tuple[bool, str]:
    """Return whether an alert was delivered, and what went wrong."""
    detail = ""
    for attempt in range(_ATTEMPTS):
        left = deadline - time.monotonic()
        if attempt:
            if left <= _PAUSE_SECONDS:
                break
            time.sleep(_PAUSE_SECONDS)
            left -= _PAUSE_SECONDS
        try:
            return True, channel.send(alert, max(left, 0.01))
        except ChannelError as error:
            detail = str(error)
            if not error.passing:
                break
        except Exception as error:  # its text might quote the address
            return False, f"failed with {type(error).__name__}"
    return False, detail
