"""One's own files are found wherever fsspec reaches, and what is missing is named."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources import extract
from mlops.errors import ConfigurationError, SourceError
from mlops.settings import Settings

JANUARY, FEBRUARY = (f"green_tripdata_2024-0{number}.parquet" for number in (1, 2))


@pytest.fixture
def folder(tmp_path: Path, month_bytes: Callable[..., bytes]) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / JANUARY).write_bytes(month_bytes("2024-01"))
    (tmp_path / "data" / FEBRUARY).write_bytes(month_bytes("2024-02"))
    return tmp_path / "data"


@pytest.fixture
def ask(configure: Callable[..., Settings]) -> Callable[..., Settings]:
    def _ask(location: Path | str, months: str = "2024-01..2024-02", **source: Any) -> Settings:
        return configure(kind="path", location=str(location), months=months, **source)

    return _ask


def test_a_folder_is_read_in_place(ask: Any, folder: Path) -> None:
    settings = ask(folder)
    extraction = extract(settings)
    assert [file.uri for file in extraction.files] == [
        str(folder / JANUARY),
        str(folder / FEBRUARY),
    ]
    assert extraction.months == ("2024-01", "2024-02")
    assert extraction.synthetic  # the files carry the mark of generated trips
    assert not settings.cache.exists()


def test_files_may_lie_in_a_folder_named_by_the_taxi(
    ask: Any, folder: Path, month_bytes: Any
) -> None:
    (folder / "yellow").mkdir()
    path = folder / "yellow" / "yellow_tripdata_2024-01.parquet"
    path.write_bytes(month_bytes(taxi="yellow"))
    extraction = extract(ask(folder, "2024-01", taxi="yellow"))
    assert extraction.files[0].uri == str(path)


def test_a_relative_folder_becomes_absolute(
    ask: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert extract(ask("data", "2024-01")).files[0].uri == str(folder / JANUARY)


def test_a_file_url_is_local(ask: Any, folder: Path) -> None:
    settings = ask(folder.as_uri(), "2024-01")
    assert extract(settings).files[0].uri == str(folder / JANUARY)
    assert not settings.cache.exists()


def test_every_missing_month_is_named_with_those_that_are_there(ask: Any, folder: Path) -> None:
    with pytest.raises(SourceError, match=r"2023-12, 2024-03 \(there are: 2024-01, 2024-02\)"):
        extract(ask(folder, "2023-12..2024-03"))


def test_a_folder_that_is_not_there_has_no_months(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there are: none"):
        extract(ask(tmp_path / "nowhere"))


def test_explicit_files_count_as_the_month_in_their_name(ask: Any, folder: Path) -> None:
    # Given a copy whose name says another month than its trips, and a month setting
    (folder / JANUARY).rename(folder / "train-2023-11.parquet")
    # When files are named one by one
    location = f"{folder / 'train-2023-11.parquet'}, {folder / FEBRUARY}"
    extraction = extract(ask(location, months="2020-01"))
    # Then the month setting is ignored and the name decides
    assert [file.month for file in extraction.files] == ["2023-11", "2024-02"]


@pytest.mark.parametrize("name", ["train.parquet", "12024-011.parquet", "2024-13.parquet"])
def test_a_name_without_a_month_leaves_it_to_the_median_pickup(
    ask: Any, folder: Path, name: str
) -> None:
    (folder / FEBRUARY).rename(folder / name)
    assert extract(ask(folder / name)).files[0].month == "2024-02"


def test_every_missing_file_is_named(ask: Any, folder: Path) -> None:
    location = f"{folder / 'a.parquet'},{folder / JANUARY},{folder / 'b.parquet'}"
    with pytest.raises(SourceError, match=r"no such file: .*a\.parquet, .*b\.parquet"):
        extract(ask(location))


def test_a_file_named_twice_would_count_twice(ask: Any, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="more than once"):
        extract(ask(f"{folder / JANUARY},{folder / JANUARY}"))


def test_a_location_is_required(ask: Any) -> None:
    with pytest.raises(ConfigurationError, match="location is empty"):
        extract(ask(""))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"<html>", "HTML"), (b"PAR1...", "truncated")],
    ids=["empty", "html", "truncated"],
)
def test_a_damaged_file_is_named(ask: Any, folder: Path, content: bytes, message: str) -> None:
    (folder / FEBRUARY).write_bytes(content)
    with pytest.raises(SourceError, match=f"{FEBRUARY}.*{message}"):
        extract(ask(folder))


def test_an_unknown_protocol_is_named(ask: Any) -> None:
    with pytest.raises(SourceError, match="nonsense://somewhere"):
        extract(ask("nonsense://somewhere"))


@pytest.fixture
def remote(folder: Path) -> Iterator[tuple[str, Any]]:
    """A file system that is not local, with the two months in it."""
    fs = fsspec.filesystem("memory")
    base = f"/{uuid.uuid4().hex}"
    for path in folder.iterdir():
        fs.pipe(f"{base}/{path.name}", path.read_bytes())
    yield f"memory:/{base}", fs
    fs.rm(base, recursive=True)


def test_remote_files_are_copied_once(
    ask: Any, remote: tuple[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ask(remote[0])
    first, second = extract(settings), extract(settings)
    assert first == second
    assert capsys.readouterr().out.count("copying") == 2
    local = extract(ask(folder))
    assert [file.sha256 for file in first.files] == [file.sha256 for file in local.files]
    assert all(Path(file.uri).is_relative_to(settings.cache) for file in first.files)


def test_a_remote_file_that_changed_is_copied_again(
    ask: Any, remote: tuple[str, Any], month_bytes: Any
) -> None:
    url, fs = remote
    settings = ask(url, "2024-01")
    extract(settings)
    fs.pipe(f"{url}/{JANUARY}", month_bytes(rows=2_500))
    assert extract(settings).files[0].rows == 2_500


def test_a_damaged_remote_file_leaves_the_cached_copy(
    ask: Any, remote: tuple[str, Any], files_in: Any
) -> None:
    url, fs = remote
    settings = ask(url, "2024-01")
    extract(settings)
    before = files_in(settings.cache)
    fs.pipe(f"{url}/{JANUARY}", b"PAR1 cut short")
    with pytest.raises(SourceError, match=f"{url}/{JANUARY}.*truncated"):
        extract(settings)
    assert files_in(settings.cache) == before


def test_a_server_out_of_reach_is_not_a_missing_file(ask: Any) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        extract(ask("http://127.0.0.1:9/trips", "2024-01"))
    assert "network" in caught.value.hint


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 bucket on a server of this machine, reached through the usual variables."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    try:
        server.start()
        host, port = server.get_host_and_port()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"the S3 server cannot start: {error}")
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("trips")
        yield "s3://trips"
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


def test_s3_is_a_folder_like_any_other(ask: Any, folder: Path, bucket: str) -> None:
    # Given a bucket with January
    fs = fsspec.filesystem("s3")
    fs.put(str(folder / JANUARY), f"{bucket}/raw/{JANUARY}")
    # When January is asked for
    settings = ask(f"{bucket}/raw", "2024-01")
    (file,) = extract(settings).files
    # Then it is the local one, copied
    assert read_trips(file.uri, "green").equals(read_trips(folder / JANUARY, "green"))
    assert file.name == JANUARY
    # And February is missing, with what is there
    with pytest.raises(SourceError, match=r"2024-02 \(there are: 2024-01\)"):
        extract(ask(f"{bucket}/raw"))


def test_a_bucket_that_is_not_there_is_named(ask: Any, bucket: str) -> None:
    assert os.environ["AWS_ENDPOINT_URL"]
    with pytest.raises(SourceError, match="s3://elsewhere"):
        extract(ask("s3://elsewhere"))


@pytest.mark.real_data
def test_the_real_months_are_known_by_their_published_rows(ask: Any, real_data: Path) -> None:
    extraction = extract(ask(real_data, "2023-10..2024-02"))
    assert [file.rows for file in extraction.files] == [66_177, 64_025, 64_215, 56_551, 53_577]
    sums = dict(
        reversed(line.split())
        for line in (real_data / "green" / "SHA256SUMS").read_text().splitlines()
    )
    published = {Path(name.lstrip("*")).name: sha256 for name, sha256 in sums.items()}
    assert {file.name: file.sha256 for file in extraction.files} == published
