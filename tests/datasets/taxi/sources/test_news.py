"""Which months a source has that nobody has learned from."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from mlops.datasets.taxi.sources.news import months_after, months_there
from mlops.errors import SourceError
from mlops.settings import SourceSettings

TODAY = date(2024, 6, 15)


def file_of(month: str) -> str:
    return f"green_tripdata_{month}.parquet"


@pytest.fixture
def published() -> Iterator[Callable[..., tuple[str, list[str]]]]:
    """Return a starter of a server that has some files; it notes what it was asked."""
    servers = []

    def start(*months: str, statuses: tuple[int, ...] = ()) -> tuple[str, list[str]]:
        asked: list[str] = []
        first = list(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                asked.append(self.command + self.path)
                there = any(self.path.endswith(file_of(month)) for month in months)
                self.send_response(first.pop(0) if first else 200 if there else 403)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_sample_brings_one_month_once_it_is_over() -> None:
    source = SourceSettings(kind="sample")
    assert months_after(source, "2024-02", TODAY) == ("2024-03",)
    assert months_after(source, "2024-04", TODAY) == ("2024-05",)
    assert months_after(source, "2024-05", TODAY) == ()


def test_the_official_files_are_asked_for_one_after_the_other_without_fetching_any(
    published: Callable[..., tuple[str, list[str]]],
) -> None:
    url, asked = published("2024-02", "2024-03", "2024-04")
    source = SourceSettings(kind="tlc", base_url=url)
    assert months_after(source, "2024-02", TODAY) == ("2024-03", "2024-04")
    assert asked == [f"HEAD/{file_of(month)}" for month in ("2024-03", "2024-04", "2024-05")]


def test_a_server_in_trouble_is_asked_again_and_then_named(
    published: Callable[..., tuple[str, list[str]]],
) -> None:
    url, _ = published("2024-03", statuses=(503, 200))
    assert months_after(SourceSettings(kind="tlc", base_url=url), "2024-02", date(2024, 4, 1)) == (
        "2024-03",
    )
    url, _ = published(statuses=(503, 503))
    with pytest.raises(SourceError, match="2024-03"):
        months_after(SourceSettings(kind="tlc", base_url=url, retries=1), "2024-02", TODAY)
    url, _ = published(statuses=(401,))
    with pytest.raises(SourceError, match="answered 401"):
        months_after(SourceSettings(kind="tlc", base_url=url), "2024-02", TODAY)


def test_a_folder_is_listed_gaps_and_sub_folders_included(tmp_path: Path) -> None:
    (tmp_path / "green").mkdir()
    for name in (
        file_of("2024-01"),
        f"green/{file_of('2024-04')}",
        "yellow_tripdata_2024-05.parquet",
    ):
        (tmp_path / name).touch()
    source = SourceSettings(kind="path", location=str(tmp_path))
    assert months_after(source, "2024-01", TODAY) == ("2024-04",)
    assert months_after(source, "2024-04", TODAY) == ()


def test_files_given_one_by_one_count_by_the_month_in_their_name() -> None:
    source = SourceSettings(kind="path", location="a/trips_2024-01.parquet,b/trips_2024-02.parquet")
    assert months_after(source, "2024-01", TODAY) == ("2024-02",)


WANTED = ("2024-03", "2024-05", "2024-06")


def test_of_the_sample_there_are_the_months_that_are_over(tmp_path: Path) -> None:
    source = SourceSettings(kind="sample")
    assert months_there(source, WANTED, TODAY, tmp_path) == ("2024-03", "2024-05")


def test_of_the_official_files_there_are_those_published_or_fetched_before(
    published: Callable[..., tuple[str, list[str]]], tmp_path: Path
) -> None:
    # given one month in the cache, and another one published
    url, asked = published("2024-05")
    cached = tmp_path / "tlc" / "green" / file_of("2024-03")
    cached.parent.mkdir(parents=True)
    cached.touch()
    source = SourceSettings(kind="tlc", base_url=url)

    assert months_there(source, WANTED, TODAY, tmp_path) == ("2024-03", "2024-05")
    assert asked == [f"HEAD/{file_of(month)}" for month in ("2024-05", "2024-06")]


def test_of_files_there_are_those_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / file_of("2024-06")).touch()
    source = SourceSettings(kind="path", location=str(tmp_path))
    assert months_there(source, WANTED, TODAY, tmp_path) == ("2024-06",)
