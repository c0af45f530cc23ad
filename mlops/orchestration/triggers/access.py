"""Who may enter the user interface: secrets made once, kept in files only their owner can read."""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mlops.counting import counted
from mlops.errors import ConfigurationError

logger = logging.getLogger(__name__)

PASSWORD_VARIABLE = "MLOPS_OWNER_PASSWORD"
MIN_PASSWORD_LENGTH = 10
_SECRET: Final = re.compile(rb"[!-~]{16,}")  # one that is not easy to guess
MAX_ADDRESSES: Final = 10_000  # remembered at a time; full buckets are forgotten beyond
SECONDS_PER_MINUTE: Final = 60.0


def private_secret(path: Path) -> str:
    """Return the secret stored at ``path`` (mode 0600).

    It is made at the first call, and anew if what is stored is damaged: an empty secret, which
    anybody could guess, is worse than one that nobody knows yet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # of two processes that start, one makes it
        content = path.read_bytes().strip() if path.exists() else None
        if content is None or not _SECRET.fullmatch(content):
            if content is not None:
                logger.warning("%s: the secret is damaged and is replaced", path)
            temporary = path.with_name(f"{path.name}.new")
            temporary.unlink(missing_ok=True)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as stream:
                stream.write(secrets.token_urlsafe(48))
            temporary.replace(path)
        path.chmod(0o600)
        return path.read_text().strip()
    finally:
        os.close(folder)


def chosen_password(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the owner's password given in the environment, or ``None``.

    Raises:
        ConfigurationError: If it is too short or a password everybody tries first.
    """
    password = environment.get(PASSWORD_VARIABLE)
    if password is not None and len(password) < MIN_PASSWORD_LENGTH:
        raise ConfigurationError(
            f"{PASSWORD_VARIABLE}: a password of {counted(len(password), 'character')} is too easy"
            " to guess",
            f"choose at least {MIN_PASSWORD_LENGTH} characters, or unset it to have one generated",
        )
    return password


def client_address(peer: str, forwarded_for: str, behind_proxy: bool) -> str:
    """Return who is asking: one address per IPv4 host and per IPv6 network of a customer.

    Args:
        peer: The connection's other end.
        forwarded_for: The header ``X-Forwarded-For``. Anybody may send one, so only its last entry
            counts, which our proxy wrote, and only behind a proxy.
        behind_proxy: Whether there is one.
    """
    last = forwarded_for.rpartition(",")[2].strip()
    text = last if behind_proxy and last else peer
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return peer
    if address.version == 6:
        # A caller with one IPv6 address has 2^64 of them (RFC 4291, section 2.5.4).
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class SignInLimit:
    """A token bucket per address, against guessing of passwords.

    Kept as one number per bucket, the moment at which it is full again: the generic cell rate
    algorithm in its virtual scheduling form (ITU-T I.371, annex A).

    Args:
        per_minute: Attempts in the long run, and at once after a pause.
        now: A monotonic clock, seconds.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = SECONDS_PER_MINUTE / per_minute
        self._now = now
        self._full_at: dict[str, float] = {}

    def wait_seconds(self, address: str) -> float:
        """Count an attempt; return 0 if it may go on, else how long to wait."""
        now = self._now()
        if len(self._full_at) >= MAX_ADDRESSES:
            self._full_at = {a: full_at for a, full_at in self._full_at.items() if full_at > now}
        full_at = max(self._full_at.get(address, now), now) + self._interval
        wait = full_at - now - SECONDS_PER_MINUTE
        if wait > 0:
            return wait
        self._full_at[address] = full_at
        return 0.0
