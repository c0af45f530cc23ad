"""One message per incident, not one per retry, and one more when it is over.

Each incident is a small file, so that telling of one never waits for another; whoever finds its
lock taken knows that it is being told at this moment.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from mlops.data.atomic import atomic_file
from mlops.data.references import Reference
from mlops.notifications.alerts import Alert
from mlops.notifications.channels import channels_of
from mlops.notifications.delivery import Delivery, deliver
from mlops.settings import Settings

logger = logging.getLogger(__name__)

_FORGOTTEN_AFTER: Final = timedelta(days=30)


class Incident(Reference):
    """What was told of an incident.

    Attributes:
        incident: Its key.
        title: Of its first alert.
        since: When it was first told, with time zone.
        told_at: When it was last told, with time zone.
        untold: Alerts since then that were not sent.
    """

    incident: str
    title: str
    since: datetime
    told_at: datetime
    untold: int = 0


def notify(settings: Settings, alert: Alert) -> Delivery:
    """Tell of an incident, unless it was told within `repeat_minutes`. Never raises.

    An alert that reached nobody counts as not told. Takes at most `timeout_seconds`, and a moment.

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
    repeat = timedelta(minutes=settings.notifications.repeat_minutes)
    if known and now < known.told_at + repeat:
        _write(file, known.model_copy(update={"untold": known.untold + 1}))
        return Delivery(suppressed=True)
    if known and known.untold:
        more = f"since {known.told_at:%Y-%m-%d %H:%M %Z}"
        facts = {**alert.facts, "happened again": f"{known.untold} times {more}"}
        alert = alert.model_copy(update={"facts": facts})
    delivery = _deliver(settings, alert)
    if delivery.reached_somebody:
        since = known.since if known else now
        told = Incident(incident=alert.incident, title=alert.title, since=since, told_at=now)
        _write(file, told)
    _forget_old(file.parent, now)
    return delivery


def resolve(settings: Settings, incident: str) -> Delivery | None:
    """Tell once that an incident is over; None if there was none. Never raises.

    Args:
        settings: As for `notify`.
        incident: Its key, or the beginning of several, ending in ``:``.
    """
    delivery = None
    try:
        for known in _known(settings, incident):
            with _sole(settings, known.incident) as file:
                if file and file.exists():
                    delivery = _deliver(settings, _over(known))
                    if delivery.reached_somebody:
                        file.unlink()
    except Exception:
        logger.exception("incident %s cannot be resolved", incident)
    return delivery


def _over(known: Incident) -> Alert:
    now = datetime.now(timezone.utc)
    minutes = (now - known.since).total_seconds() / 60
    return Alert(
        kind="recovered",
        incident=known.incident,
        title=f"resolved: {known.title}",
        text=f"It works again, {minutes:.0f} minutes after it was first told.",
        at=now,
    )


def _known(settings: Settings, incident: str) -> list[Incident]:
    found = (_read(file) for file in sorted(_folder(settings).glob("*.json")))
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
    # Whoever reads logs is told too, also where no channel is configured.
    level = logging.INFO if alert.severity == "info" else logging.WARNING
    logger.log(level, "%s: %s", alert.kind, alert.title)
    channels = channels_of(settings.notifications)
    return deliver(channels, alert, settings.notifications.timeout_seconds)


def _folder(settings: Settings) -> Path:
    return settings.home / "notifications"


def _read(file: Path) -> Incident | None:
    try:
        return Incident.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _write(file: Path, incident: Incident) -> None:
    with atomic_file(file) as temporary:
        temporary.write_text(incident.model_dump_json(indent=1), encoding="utf-8")


@contextmanager
def _sole(settings: Settings, incident: str) -> Iterator[Path | None]:
    """Give the file of an incident, or None while another process tells of it."""
    readable = re.sub(r"[^\w.-]+", "-", incident)[:60]
    digest = hashlib.sha256(incident.encode()).hexdigest()[:12]
    file = _folder(settings) / f"{readable}-{digest}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
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
    for file in folder.glob("*.lock"):
        with suppress(OSError):
            age = now - datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
            if age > _FORGOTTEN_AFTER:
                file.with_suffix(".json").unlink(missing_ok=True)
                file.unlink()
