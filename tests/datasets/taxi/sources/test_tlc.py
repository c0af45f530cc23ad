"""Downloads survive what networks do, and a failed one leaves the cache as it was.

A real HTTP server on this machine plays the TLC's, well or badly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.datasets.taxi.sources import extract, tlc
from mlops.errors import SourceError
from mlops.settings import Settings

JANUARY = "green_tripdata_2024-01.parquet"


class FakeTlc:
    """A file server with ranges, that misbehaves once per entry of ``script``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etag = '"one"'
        self.script: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        self.served = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._released = threading.Event()
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                fake.requests.append((name, self.headers.get("Range")))
                mode = fake.script.pop(0) if fake.script else "well"
                if mode == "hang":
                    fake._released.wait(5)
                    return
                if mode.isdigit():
                    self.send_response(int(mode))
                    self.send_header("Retry-After", "3")
                    self.end_headers()
                    return
                content = fake.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                self._send(content, mode)

            def _send(self, content: bytes, mode: str) -> None:
                start = 0
                wanted = self.headers.get("Range")
                if wanted and self.headers.get("If-Range") == fake.etag and mode != "no ranges":
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if start >= len(content):
                        self.send_error(416)
                        return
                body = content[start:]
                self.send_response(206 if start else 200)
                self.send_header("ETag", fake.etag)
                if start:
                    shown = 0 if mode == "another range" else start
                    end = len(content) - 1
                    self.send_header("Content-Range", f"bytes {shown}-{end}/{len(content)}")
                if mode == "html":
                    body = b"<html>please sign in</html>"
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                elif mode == "unlabelled html":
                    body = b"<html>please sign in</html>"
                elif mode == "truncated":
                    body = body[: len(body) // 2]
                if mode != "no length":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if mode.startswith("drop"):
                    body = body[: int(len(body) * float(mode.split()[1]))]
                fake.served += len(body)
                self.wfile.write(body)

        return Handler


@pytest.fixture
def server(month_bytes: Callable[..., bytes]) -> Iterator[FakeTlc]:
    fake = FakeTlc()
    fake.files[JANUARY] = month_bytes()
    yield fake
    fake.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which do not really pass."""
    paused: list[float] = []
    clock = SimpleNamespace(sleep=paused.append, monotonic=time.monotonic)
    monkeypatch.setattr(tlc, "time", clock)
    return paused


@pytest.fixture
def ask(configure: Callable[..., Settings], server: FakeTlc) -> Callable[..., Settings]:
    def _ask(**source: Any) -> Settings:
        defaults = {
            "kind": "tlc",
            "base_url": server.url,
            "months": "2024-01",
            "timeout_seconds": 5,
        }
        return configure(**(defaults | source))

    return _ask


def content_of(settings: Settings) -> bytes:
    return (settings.cache / "tlc" / "green" / JANUARY).read_bytes()


def test_a_month_is_downloaded_once(ask: Any, server: FakeTlc, month_bytes: Any) -> None:
    settings = ask()
    # When a month is asked for twice
    first, second = extract(settings), extract(settings)
    # Then it crosses the network once, and is referenced alike
    assert len(server.requests) == 1
    assert first == second
    assert first.synthetic  # the file carries the mark of generated trips
    (file,) = first.files
    assert (file.month, file.name, file.rows) == ("2024-01", JANUARY, 2_000)
    assert file.bytes == len(month_bytes())
    assert content_of(settings) == month_bytes()


def test_yellow_files_have_their_own_name(ask: Any, server: FakeTlc, month_bytes: Any) -> None:
    server.files["yellow_tripdata_2024-01.parquet"] = month_bytes(taxi="yellow")
    assert extract(ask(taxi="yellow")).files[0].rows == 2_000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("drops", [1, 3])
def test_a_broken_download_continues_where_it_stopped(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any, share: float, drops: int
) -> None:
    server.script = [f"drop {share}"] * drops
    settings = ask()
    extract(settings)
    assert content_of(settings) == month_bytes()
    # Of what had arrived, less than a block per break crossed the network twice
    assert server.served < len(month_bytes()) + drops * tlc._BLOCK_BYTES
    assert len(waits) == drops


def test_a_download_broken_for_good_continues_in_the_next_run(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any
) -> None:
    server.script = ["drop 0.5"]
    settings = ask(retries=0)
    with pytest.raises(SourceError, match=JANUARY):
        extract(settings)
    extract(settings)
    assert content_of(settings) == month_bytes()
    assert server.served < len(month_bytes()) + tlc._BLOCK_BYTES
    assert server.requests[1] == (JANUARY, f"bytes={2 * tlc._BLOCK_BYTES}-")


@pytest.mark.parametrize("mode", ["well", "no ranges"])
def test_a_file_changed_meanwhile_starts_afresh(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any, mode: str
) -> None:
    # Given half a file, and then another file of the same name
    server.script = ["drop 0.5"]
    settings = ask(retries=0)
    with pytest.raises(SourceError):
        extract(settings)
    server.files[JANUARY] = month_bytes(rows=3_000)
    server.etag = '"two"'
    server.script = [mode]
    # When it is asked for again
    extraction = extract(settings)
    # Then nothing of the first one is left
    assert extraction.files[0].rows == 3_000
    assert content_of(settings) == month_bytes(rows=3_000)


def test_a_weak_etag_is_no_ground_to_continue(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any
) -> None:
    server.etag = 'W/"weak"'
    server.script = ["drop 0.5"]
    settings = ask()
    extract(settings)
    assert [wanted for _, wanted in server.requests] == [None, None]
    assert content_of(settings) == month_bytes()


def test_a_server_that_continues_somewhere_else_is_not_believed(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any
) -> None:
    server.script = ["drop 0.5", "another range"]
    settings = ask()
    extract(settings)
    assert content_of(settings) == month_bytes()
    assert server.requests[-1] == (JANUARY, None)


def test_a_part_that_is_already_whole_is_fetched_again(
    ask: Any, server: FakeTlc, waits: list[float], month_bytes: Any
) -> None:
    # Given a process killed between the last byte and the rename
    server.script = ["drop 0.5"]
    settings = ask(retries=0)
    with pytest.raises(SourceError):
        extract(settings)
    part = settings.cache / "tlc" / "green" / f"{JANUARY}.part"
    part.write_bytes(month_bytes())
    # Then the server's refusal to continue leads to a fresh download
    extract(ask(retries=1))
    assert content_of(settings) == month_bytes()


@pytest.mark.parametrize("status", ["429", "500", "503"])
def test_a_busy_server_is_asked_again_no_sooner_than_it_says(
    ask: Any, server: FakeTlc, waits: list[float], status: str
) -> None:
    server.script = [status, status]
    extract(ask())
    assert len(server.requests) == 3
    assert all(wait >= 3 for wait in waits)


def test_pauses_grow_and_attempts_end(ask: Any, server: FakeTlc, waits: list[float]) -> None:
    server.script = ["drop 0"] * 20
    with pytest.raises(SourceError, match="after 6 attempts") as caught:
        extract(ask(retries=5))
    assert "--source sample" in caught.value.hint
    assert len(server.requests) == 6
    for attempt, wait in enumerate(waits):
        assert 0.25 * 2**attempt <= wait <= 0.75 * 2**attempt


def test_a_silent_server_times_out(ask: Any, server: FakeTlc, waits: list[float]) -> None:
    server.script = ["hang"]
    with pytest.raises(SourceError, match=r"1 attempt\b.*imed? ?out"):
        extract(ask(retries=0, timeout_seconds=0.1))


def test_no_network_names_the_ways_without_it(ask: Any, waits: list[float]) -> None:
    with pytest.raises(SourceError, match="cannot be downloaded") as caught:
        extract(ask(base_url="http://127.0.0.1:9", retries=1))
    assert "--source sample" in caught.value.hint
    assert "--source path" in caught.value.hint


def test_every_missing_month_is_named_with_those_that_are_there(ask: Any, server: FakeTlc) -> None:
    with pytest.raises(SourceError, match=r"2024-02, 2024-03 .*these exist: 2024-01\)") as caught:
        extract(ask(months="2024-01..2024-03"))
    assert "two months late" in caught.value.hint


def test_403_is_a_missing_month_as_well(ask: Any, server: FakeTlc) -> None:
    server.script = ["403"]
    with pytest.raises(SourceError, match="no green trips for 2024-01"):
        extract(ask())


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("html", "HTML page instead of parquet"),
        ("unlabelled html", "HTML"),
        ("truncated", "truncated"),
        ("410", "answered 410"),
    ],
)
def test_what_is_not_the_file_is_refused_and_names_its_address(
    ask: Any, server: FakeTlc, waits: list[float], mode: str, message: str
) -> None:
    server.script = [mode]
    settings = ask()
    with pytest.raises(SourceError, match=message) as caught:
        extract(settings)
    assert f"{server.url}/{JANUARY}" in caught.value.message
    assert not (settings.cache / "tlc" / "green" / JANUARY).exists()
    # And the next run is not misled by what is left
    assert extract(settings).files[0].rows == 2_000


def test_a_download_of_unknown_length_is_checked_by_its_footer(
    ask: Any, server: FakeTlc, month_bytes: Any
) -> None:
    server.script = ["no length"]
    settings = ask()
    extract(settings)
    assert content_of(settings) == month_bytes()


def test_a_cached_file_that_was_damaged_is_fetched_again(
    ask: Any, server: FakeTlc, month_bytes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a cached month in which one byte has changed
    settings = ask()
    extract(settings)
    path = settings.cache / "tlc" / "green" / JANUARY
    damaged = bytearray(month_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    # When it is asked for
    extract(settings)
    # Then it is downloaded again, and the user is told why
    assert content_of(settings) == month_bytes()
    assert "changed or damaged" in capsys.readouterr().out


def test_a_failure_leaves_the_cache_untouched(
    ask: Any, server: FakeTlc, waits: list[float], files_in: Any
) -> None:
    # Given a cached month, and a mirror that serves something else under its name
    settings = ask()
    extract(settings)
    before = files_in(settings.cache)
    mirror = FakeTlc()
    mirror.files[JANUARY] = b"PAR1 but not really"
    # When the month is asked for from the mirror
    with pytest.raises(SourceError):
        extract(ask(base_url=mirror.url))
    mirror.close()
    # Then the cached file and its receipt are as they were
    after = files_in(settings.cache)
    assert {name: after.get(name) for name in before} == before
    requests = len(server.requests)
    extract(settings)
    assert len(server.requests) == requests


def test_a_full_disk_is_noticed_before_the_download(
    ask: Any, server: FakeTlc, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(tlc, "shutil", disk)
    with pytest.raises(SourceError, match="10 are free") as caught:
        extract(ask())
    assert "disk" in caught.value.hint


def test_a_wrong_base_url_is_a_setting_to_correct(ask: Any) -> None:
    with pytest.raises(SourceError, match="nonsense") as caught:
        extract(ask(base_url="nonsense"))
    assert "base_url" in caught.value.hint


def test_long_downloads_report_progress(
    ask: Any,
    server: FakeTlc,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tlc, "_REPORT_SECONDS", 0)
    monkeypatch.setattr(tlc, "_BLOCK_BYTES", 10_000)
    extract(ask())
    lines = [line for line in capsys.readouterr().out.splitlines() if "downloading" in line]
    assert len(lines) > 1
    assert JANUARY in lines[0]
    assert "megabytes=" in lines[0]
