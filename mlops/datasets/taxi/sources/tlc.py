"""The official monthly files of the TLC, over HTTP into the cache.

A download that breaks off continues where it stopped, as long as the server says that the file is
still the same one (`If-Range`, RFC 9110 section 13.1.5); only a whole, checked file gets its name.
"""

from __future__ import annotations

import email.utils
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import requests

from mlops import progress
from mlops.counting import counted
from mlops.data.locations import month_file_name
from mlops.data.references import SourceFile
from mlops.datasets.taxi.sources import cache
from mlops.errors import SourceError, cause_of
from mlops.settings import SourceSettings

_MISSING = (403, 404)  # the TLC's storage answers 403 for a file that does not exist
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_BLOCK_BYTES = 1 << 14  # small: what has arrived of a block is lost when the connection breaks
_REPORT_SECONDS = 2.0
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 60.0
_OFFLINE_HINT = (
    "check the network, or work without it: --source sample, or --source path --location DIR"
)


class _MissingMonthError(Exception):
    """The server has no file for a month."""


class _TransientError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, retry_after: float = 0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def fetch(source: SourceSettings, cache_root: Path) -> tuple[SourceFile, ...]:
    """Bring the months asked for into the cache, downloading those it does not hold.

    Raises:
        SourceError: Naming every month that is not published, or the file and what went wrong.
            What was cached before stays as it was.
    """
    files: list[SourceFile] = []
    missing: list[str] = []
    with requests.Session() as session:
        for month in source.month_list:
            file = _month(session, source, cache_root / "tlc" / source.taxi, month)
            if file is None:
                missing.append(month)
            else:
                files.append(file)
    if missing:
        there = ", ".join(file.month for file in files) or "none"
        raise SourceError(
            f"{source.base_url}: no {source.taxi} trips for {', '.join(missing)}"
            f" (of the requested months, these exist: {there})",
            "the TLC publishes a month about two months late: ask for earlier ones with --months",
        )
    return tuple(files)


def _month(
    session: requests.Session, source: SourceSettings, folder: Path, month: str
) -> SourceFile | None:
    """Return a month's checked file in the cache, or None if the TLC has not published it."""
    name = month_file_name(source.taxi, month)
    url = f"{source.base_url.rstrip('/')}/{name}"
    path, part = folder / name, folder / f"{name}.part"
    receipt = cache.verified(path)
    if receipt is None or receipt.url != url:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            version = _download(session, source, url, part)
            receipt = cache.store(path, source.taxi, url, part.replace, version)
            _state_path(part).unlink(missing_ok=True)
        except _MissingMonthError:
            return None
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be written: {cause_of(error)}",
                "free disk space or set MLOPS_HOME to another disk; the download will continue",
            ) from error
    return cache.describe(path, source.taxi, month, name, receipt.sha256)


def _download(session: requests.Session, source: SourceSettings, url: str, part: Path) -> str:
    """Download ``url`` to ``part`` in as many attempts as allowed; returns the file's version."""
    for attempt in range(source.retries + 1):
        outcome = _outcome(session, url, part, source.timeout_seconds)
        if isinstance(outcome, str):
            return outcome
        if attempt < source.retries:
            delay = min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS)
            # Jitter keeps many clients from coming back at the same moment.
            delay = max(delay * random.uniform(0.5, 1.5), outcome.retry_after)
            progress.report(f"{part.stem}: {outcome}; trying again in {delay:.1f} s")
            time.sleep(delay)
    raise SourceError(
        f"{url}: cannot be downloaded after {counted(source.retries + 1, 'attempt')}: {outcome}",
        _OFFLINE_HINT,
    )


def _outcome(
    session: requests.Session, url: str, part: Path, timeout: float
) -> str | _TransientError:
    """Attempt a download once: the file's version, or the reason to try again."""
    try:
        return _attempt(session, url, part, timeout)
    except _TransientError as error:
        return error
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        return _TransientError(_first_cause(error))
    except requests.RequestException as error:
        raise SourceError(f"{url}: {error}", "correct source.base_url") from error


def _attempt(session: requests.Session, url: str, part: Path, timeout: float) -> str:
    headers, done = {"Accept-Encoding": "identity"}, 0
    version = _version_of(part, url)
    if version:
        done = part.stat().st_size
        headers |= {"Range": f"bytes={done}-", "If-Range": version}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        _refuse(response, url, part, done)
        if response.status_code == 200:
            done = 0  # a first attempt, a server without ranges, or a file that has changed
        version = _strong_version(response)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        _require_space(part, total, done)
        _remember_version(part, url, version)
        with part.open("ab" if done else "wb") as stream:
            for block in _reported(response.iter_content(_BLOCK_BYTES), part, done, total):
                stream.write(block)
    size = part.stat().st_size
    if total is not None and size != total:
        raise _TransientError(f"the connection closed after {size:,} of {total:,} bytes")
    return version


def _refuse(response: requests.Response, url: str, part: Path, done: int) -> None:
    """Raise what an answer without the file's bytes means."""
    status = response.status_code
    if status in _MISSING:
        raise _MissingMonthError
    answered = response.headers.get("Content-Range", "")
    if status == 416 or (status == 206 and not answered.startswith(f"bytes {done}-")):
        # The part is as long as the file or longer, or the server continues somewhere else.
        part.unlink(missing_ok=True)
        raise _TransientError("the server cannot resume the download")
    if status in _TRANSIENT:
        raise _TransientError(
            f"the server answered {status} {response.reason}",
            _seconds(response.headers.get("Retry-After", "")),
        )
    if status not in (200, 206):
        raise SourceError(f"{url}: the server answered {status} {response.reason}", _OFFLINE_HINT)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise SourceError(
            f"{url}: the server answered with an HTML page instead of parquet",
            "open the address in a browser: a proxy or sign-in page may be in the way;"
            " or correct source.base_url",
        )


def _reported(blocks: Iterator[bytes], part: Path, done: int, total: int | None) -> Iterator[bytes]:
    """Pass blocks through, reporting progress at most every `_REPORT_SECONDS`."""
    reported = time.monotonic()
    for block in blocks:
        yield block
        done += len(block)
        if time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            progress.report(
                f"downloading {part.stem}",
                megabytes=round(done / 1e6, 1),
                of=None if total is None else round(total / 1e6, 1),
            )


def _require_space(part: Path, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - done > free:
        raise OSError(f"{total - done:,} bytes are needed, {free:,} are free")


def _strong_version(response: requests.Response) -> str:
    """Return the mark by which a server tells whether a file is byte for byte the same one."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _remember_version(part: Path, url: str, version: str) -> None:
    _state_path(part).write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")


def _version_of(part: Path, url: str) -> str:
    """Return the version a part belongs to, empty if the download cannot be continued."""
    with suppress(OSError, ValueError):
        state = json.loads(_state_path(part).read_text(encoding="utf-8"))
        if state["url"] == url and part.stat().st_size > 0:
            return str(state["version"])
    return ""


def _seconds(retry_after: str) -> float:
    """Read a `Retry-After` header: seconds or a date (RFC 9110 section 10.2.3)."""
    if retry_after.isdigit():
        return min(float(retry_after), _LONGEST_DELAY_SECONDS)
    with suppress(TypeError, ValueError):
        until = email.utils.parsedate_to_datetime(retry_after)
        seconds = (until - datetime.now(timezone.utc)).total_seconds()
        return min(max(seconds, 0), _LONGEST_DELAY_SECONDS)
    return 0


def _first_cause(error: Exception) -> str:
    """Return the innermost reason: urllib3 and requests wrap it in several layers."""
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return f"{type(cause).__name__}: {cause}"
