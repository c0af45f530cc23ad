"""One message per incident, not one per retry, one per stage it comes to, and one when it is over.

Each incident is a small file, so that the message of one never waits for another. While its lock is
taken, its message is being sent.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from mlops.counting import counted
from mlops.data.references import Reference
from mlops.errors import DamagedFileError
from mlops.notifications.alerts import Alert
from mlops.notifications.channels import channels_of
from mlops.notifications.delivery import Delivery, deliver
from mlops.records.files import find_or_report, write_record
from mlops.records.folder import RecordFolder
from mlops.settings import DEFAULT_DATASET, Settings

logger = logging.getLogger(__name__)

_FORGOTTEN_AFTER: Final = timedelta(days=30)
_WAY_OUT: Final = "remove {path}: at most one message is sent again"


class Chapter(Reference):
    """One stage that an incident came to."""

    stage: str  # in a few words
    at: datetime


class Incident(Reference):
    """What was reported of an incident.

    Attributes:
        incident: Its key.
        title: Of its first alert.
        link: Of its last alert.
        since: When it was first reported, with time zone.
        told_at: When it was last reported, with time zone.
        untold: Alerts since then that were not sent.
        story: The stages it came to, in order.
    """

    incident: str
    title: str
    link: str = ""
    since: datetime
    told_at: datetime
    untold: int = 0
    story: tuple[Chapter, ...] = ()

    @property
    def so_far(self) -> str:
        """The story in one line."""
        return " → ".join(f"{entry.at:%Y-%m-%d %H:%M} {entry.stage}" for entry in self.story)

    def after(self, stage: str, at: datetime) -> Incident:
        """Return the incident with one more stage, if it is a new one."""
        if not stage or any(entry.stage == stage for entry in self.story):
            return self
        return self.model_copy(update={"story": (*self.story, Chapter(stage=stage, at=at))})


def notify(settings: Settings, alert: Alert) -> Delivery:
    """Report an incident, unless this stage was reported within `repeat_minutes`. Never raises.

    What does not repeat is reported once per stage, until it is over. From the second message on,
    the story so far is added. An alert that reached nobody counts as not reported. Takes at most
    `timeout_seconds`, and a moment.

    Args:
        settings: `settings.notifications`, and the home, which remembers incidents.
        alert: What happened.
    """
    try:
        with _sole(settings, alert.incident) as file:
            return _notify(settings, alert, file) if file else Delivery(suppressed=True)
    except Exception:  # e.g. a full disk: telling twice is better than not at all
        logger.exception("incident %s cannot be remembered", alert.incident)
        return _deliver(settings, alert)


def _notify(settings: Settings, alert: Alert, file: Path) -> Delivery:
    now = datetime.now(timezone.utc)
    known = _read(file)
    if known and not _is_news(settings, known, alert, now):
        write_record(file, known.model_copy(update={"untold": known.untold + 1}))
        return Delivery(suppressed=True)
    delivery = _deliver(settings, _continued(alert, known) if known else alert)
    if delivery.reached_somebody:
        new = Incident(incident=alert.incident, title=alert.title, since=now, told_at=now)
        changes = {"link": alert.link, "told_at": now, "untold": 0}
        incident = (known or new).model_copy(update=changes)
        write_record(file, incident.after(alert.stage, now))
    _forget_old(file.parent, now)
    return delivery


def _is_news(settings: Settings, known: Incident, alert: Alert, now: datetime) -> bool:
    if known.after(alert.stage, now) != known:
        return True
    repeat = timedelta(minutes=settings.notifications.repeat_minutes)
    return alert.repeats and now >= known.told_at + repeat


def _continued(alert: Alert, known: Incident) -> Alert:
    """Return an alert with what was reported before."""
    facts = {"since": f"{known.since:%Y-%m-%d %H:%M %Z}", **alert.facts}
    if known.story:
        facts["so far"] = known.so_far
    if known.untold and alert.repeats:
        facts["happened again"] = (
            f"{counted(known.untold, 'time')} since {known.told_at:%Y-%m-%d %H:%M %Z}"
        )
    return alert.model_copy(update={"facts": facts})


def append(settings: Settings, incident: str, stage: str) -> str:
    """Note what another message tells in the stories that it belongs to. Never raises.

    Args:
        settings: As for `notify`.
        incident: Key, or the beginning of several, ending in ``:``.
        stage: What happened, in a few words.

    Returns:
        The story so far, before this stage; empty if there is no such incident.
    """
    stories = []
    try:
        for known in _known(settings, incident):
            with _sole(settings, known.incident) as file:
                if file and file.exists():
                    stories.append(f"{known.title}: {known.so_far}" if known.story else known.title)
                    write_record(file, known.after(stage, datetime.now(timezone.utc)))
    except Exception:
        logger.exception("incident %s cannot be continued", incident)
    return "; ".join(stories)


def is_reported(settings: Settings, incident: str) -> bool:
    """Tell whether people know of an incident and not yet of its end; key as for `resolve`."""
    return bool(_known(settings, incident))


def resolve(settings: Settings, incident: str, why: str = "It works again") -> Delivery | None:
    """Tell once that an incident is over; None if there was none. Never raises.

    Args:
        settings: As for `notify`.
        incident: Its key, or the beginning of several, ending in ``:``.
        why: How one knows, as the beginning of a sentence.
    """
    delivery = None
    try:
        for known in _known(settings, incident):
            with _sole(settings, known.incident) as file:
                if file and file.exists():
                    delivery = _deliver(settings, _over(known, why))
                    if delivery.reached_somebody:
                        file.unlink()
    except Exception:
        logger.exception("incident %s cannot be resolved", incident)
    return delivery


def reported(settings: Settings, on_damage: Callable[[DamagedFileError], None]) -> list[Incident]:
    """Return all incidents that people know of, and not yet of their end."""
    return RecordFolder(settings.incidents, Incident, _WAY_OUT).all(on_damage=on_damage)


def _over(known: Incident, why: str) -> Alert:
    now = datetime.now(timezone.utc)
    facts = {"since": f"{known.since:%Y-%m-%d %H:%M %Z}"}
    return Alert(
        kind="recovered",
        incident=known.incident,
        title=f"resolved: {known.title}",
        text=f"{why}, {_duration(now - known.since)} after it was first reported.",
        facts={**facts, "so far": known.so_far} if known.story else facts,
        link=known.link,
        at=now,
    )


def _duration(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    if minutes < 180:
        return counted(minutes, "minute")
    return counted(minutes / 60, "hour") if minutes < 72 * 60 else counted(minutes / 1440, "day")


def _known(settings: Settings, incident: str) -> list[Incident]:
    found = (_read(file) for file in sorted(settings.incidents.glob("*.json")))
    return [
        known
        for known in found
        if known
        and (
            known.incident.startswith(incident)
            if incident.endswith(":")
            else known.incident == incident
        )
    ]


def _deliver(settings: Settings, alert: Alert) -> Delivery:
    # Readers of the log learn of it too, also where no channel is configured.
    level = logging.INFO if alert.severity == "info" else logging.WARNING
    logger.log(level, "%s: %s", alert.kind, alert.title)
    if settings.dataset != DEFAULT_DATASET:
        alert = alert.model_copy(update={"facts": {"dataset": settings.dataset, **alert.facts}})
    channels = channels_of(settings.notifications)
    return deliver(channels, alert, settings.notifications.timeout_seconds)


def _read(file: Path) -> Incident | None:
    return find_or_report(file, Incident, _WAY_OUT)


@contextmanager
def _sole(settings: Settings, incident: str) -> Iterator[Path | None]:
    """Give the file of an incident, or None while another process tells of it."""
    readable = re.sub(r"[^\w.-]+", "-", incident)[:60]
    digest = hashlib.sha256(incident.encode()).hexdigest()[:12]
    file = settings.incidents / f"{readable}-{digest}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file
    finally:
        os.close(lock)


def _forget_old(folder: Path, now: datetime) -> None:
    before = (now - _FORGOTTEN_AFTER).timestamp()
    for lock in folder.glob("*.lock"):
        incident = lock.with_suffix(".json")
        with suppress(OSError):
            # One that lasts is written at each look, though its lock is as old as itself.
            if all(file.stat().st_mtime < before for file in (lock, incident) if file.exists()):
                incident.unlink(missing_ok=True)
                lock.unlink()
