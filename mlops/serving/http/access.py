"""Who may ask, and how often: the same limit for all workers, in a few bytes of shared memory."""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hmac import compare_digest
from typing import Final

from mlops.errors import ConfigurationError
from mlops.serving.answers.errors import RequestError
from mlops.serving.answers.state import mark_of
from mlops.serving.http.keys import MAX_KEYS, ApiKey, hash_of, key_file, read_keys
from mlops.settings import Settings

Headers = Iterable[tuple[bytes, bytes]]

_BEARER: Final = b"bearer "
_CONFIGURED: Final = MAX_KEYS  # first number of the keys that come from the environment
_SLOTS: Final = 2 * MAX_KEYS


class RateLimiter:
    """A token bucket per number, shared by the processes forked after it was made.

    It keeps one number per bucket: the generic cell rate algorithm (ITU-T I.371, annex A; its
    virtual scheduling form) is a token bucket that remembers only when the bucket will be full
    again. Two processes that write at the same instant let one request too many pass, no more.

    Args:
        per_second: Rate in the long run.
        burst: Requests at once after a pause.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._tolerance = burst * self._interval
        self._full_at = memoryview(mmap.mmap(-1, 8 * _SLOTS)).cast("d")

    def wait_seconds(self, number: int) -> float:
        """Take a token; returns 0, or how long to wait for one if there is none.

        Args:
            number: Of the key.
        """
        now = time.monotonic()  # the same clock in all processes of a machine
        full_at = max(self._full_at[number], now) + self._interval
        wait = full_at - now - self._tolerance
        if wait > 1e-9:
            return wait
        self._full_at[number] = full_at
        return 0.0


@dataclass(frozen=True)
class _Entry:
    digest: bytes
    key: ApiKey


@dataclass
class Door:
    """Lets requests in.

    Attributes:
        settings: Say whether a key is needed, and hold further hashes.
        limiter: Shared by all workers.
    """

    settings: Settings
    limiter: RateLimiter
    _entries: Sequence[_Entry] | None = None
    _seen: object = None

    def reload(self) -> None:
        """Read the keys if their file is new.

        Raises:
            DamagedFileError: If the file is damaged; the keys in force stay.
            ConfigurationError: If a key in the settings is no hash; the keys in force stay.
        """
        found = mark_of(key_file(self.settings.served))
        if self._entries is not None and found == self._seen:
            return
        self._seen = found
        keys = (*read_keys(self.settings.served), *configured_keys(self.settings))
        self._entries = [_Entry(bytes.fromhex(key.sha256), key) for key in keys]

    def caller(self, headers: Headers) -> str:
        """Return who is asking: the name of a key, or nothing where no key is needed.

        Args:
            headers: As in ASGI: names in lower case.

        Raises:
            RequestError: 401 without a valid key, 429 above the rate limit.
        """
        token = _token(headers)
        key = self._key(token) if token is not None else None
        if key is None:
            if not self.settings.serving.require_key:
                return ""
            problem = "is missing" if token is None else "is not valid"
            raise RequestError(
                401,
                "X-API-Key",
                f"the API key {problem}: send the header X-API-Key, or Authorization: Bearer",
                {"WWW-Authenticate": "Bearer"},
            )
        wait = self.limiter.wait_seconds(key.number)
        if wait:
            raise RequestError(
                429,
                "X-API-Key",
                f"the key {key.name} sends more requests than"
                f" {self.settings.serving.requests_per_second:g} per second",
                {"Retry-After": str(math.ceil(wait))},
            )
        return key.name

    def _key(self, token: bytes) -> ApiKey | None:
        digest = hash_of(token)
        found = None
        for entry in self._entries or ():  # all of them: how long it takes tells nothing
            if compare_digest(entry.digest, digest):
                found = entry.key
        if found is None or (
            (found.expires_at or found.revoked_at)
            and not found.is_valid(datetime.now(timezone.utc))
        ):
            return None
        return found


def configured_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Return the keys whose hashes the settings hold.

    Raises:
        ConfigurationError: If one is not a SHA-256 in hexadecimal.
    """
    hashes = settings.serving.key_hashes
    for position, digest in enumerate(hashes):
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ConfigurationError(
                f"serving.key_hashes: number {position + 1} is not a SHA-256 in hexadecimal",
                "make one with: printf %s TOKEN | sha256sum",
            )
    if len(hashes) > MAX_KEYS:
        raise ConfigurationError(
            f"serving.key_hashes: {len(hashes)} are too many", f"give at most {MAX_KEYS}"
        )
    return tuple(
        ApiKey(
            number=_CONFIGURED + position,
            name=f"configured-{position + 1}",
            sha256=digest,
            created_at=datetime.min,
        )
        for position, digest in enumerate(hashes)
    )


def _token(headers: Headers) -> bytes | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
    return None
