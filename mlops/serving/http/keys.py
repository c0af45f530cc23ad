"""API keys: made here, shown once, kept only as hashes in a file that only its owner can read.

A token has 256 random bits, so that a plain SHA-256 is enough: there is nothing to guess, and so
nothing that a slow hash would protect (NIST SP 800-63B, section 5.1.2.2, look-up secrets).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from pydantic import Field

from mlops.data.references import Reference
from mlops.errors import ConfigurationError
from mlops.records.files import find_record

PREFIX: Final = "mlops_"  # so that a leaked key is recognised by scanners
FIRST: Final = "first"
DEPLOYMENT: Final = "deployment"  # the key by which the project's own deployments ask
MAX_KEYS: Final = 4_096
_FILE: Final = "keys.json"


class ApiKey(Reference):
    """One key, without the token itself."""

    number: int = Field(ge=1, description="never given twice; the rate limit counts by it")
    name: str
    sha256: str  # of the token
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Tell whether it opens the door."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyFile(Reference):
    """All keys there ever were, oldest first."""

    keys: tuple[ApiKey, ...] = ()


def key_file(served: Path) -> Path:
    """Return where the keys of a serving folder (`settings.served`) lie."""
    return served / _FILE


def read_keys(served: Path) -> tuple[ApiKey, ...]:
    """Return all keys, revoked ones too; none if there is no file.

    Raises:
        DamagedFileError: If the file is damaged.
    """
    way_out = "restore {path}, or remove it and create new keys with: mlops keys add NAME"
    stored = find_record(key_file(served), KeyFile, way_out)
    return stored.keys if stored else ()


def add_key(served: Path, name: str, days: float | None = None) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        served: The serving folder.
        name: Whose it is; appears in the prediction log as the caller. Two valid keys may share a
            name while one replaces the other.
        days: Until it expires; None: never.

    Returns:
        The key, and its token, which is stored nowhere.

    Raises:
        ConfigurationError: If the name is empty or strange, or there are too many keys.
    """
    if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"the name {name!r} is not valid for a key", "use letters, digits, - and _, at most 64"
        )
    if days is not None and days <= 0:
        raise ConfigurationError(
            f"--days {days:g}: must be positive", "omit it for a key that never expires"
        )
    token = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(timezone.utc)

    def with_new(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        number = max((key.number for key in keys), default=0) + 1
        if number >= MAX_KEYS:
            raise ConfigurationError(
                f"{key_file(served)}: {number} keys were created, more than can be numbered",
                "remove the oldest revoked ones from the file",
            )
        expires = now + timedelta(days=days) if days is not None else None
        key = ApiKey(
            number=number,
            name=name,
            sha256=hash_of(token).hex(),
            created_at=now,
            expires_at=expires,
        )
        return (*keys, key)

    return _change(served, with_new)[-1], token


def revoke_keys(served: Path, name: str) -> tuple[ApiKey, ...]:
    """Revoke a key by its number, or all of a name; servers notice within a second.

    Returns:
        The keys that were valid until now.

    Raises:
        ConfigurationError: If there is no such valid key.
    """
    now = datetime.now(timezone.utc)
    meant = [
        key
        for key in read_keys(served)
        if name in (key.name, str(key.number)) and key.is_valid(now)
    ]
    if not meant:
        raise ConfigurationError(
            f"there is no valid key {name!r}", "list them with: mlops keys list"
        )
    numbers = {key.number for key in meant}

    def without(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        return tuple(
            key.model_copy(update={"revoked_at": now}) if key.number in numbers else key
            for key in keys
        )

    return tuple(key for key in _change(served, without) if key.number in numbers)


def first_key(served: Path) -> str | None:
    """Make a person's first key if there never was one; returns its token, or None."""
    if any(key.name != DEPLOYMENT for key in read_keys(served)):
        return None
    return add_key(served, FIRST)[1]


def hash_of(token: str | bytes) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


def _change(
    served: Path, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]]
) -> tuple[ApiKey, ...]:
    """Replace the file, one process at a time; it is never readable by others, not for a moment."""
    served.mkdir(parents=True, exist_ok=True)
    file = key_file(served)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = change(read_keys(served))
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(KeyFile(keys=keys).model_dump_json(indent=1))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        return keys
    finally:
        os.close(lock)
