"""Files on any file system that fsspec knows: whether they are there, and copies of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mlops import extensions
from mlops.errors import MlopsError, SourceError


@dataclass(frozen=True)
class Source:
    """Where tables are besides, in a file of ``extensions/sources/``.

    Attributes:
        files: An fsspec file system, which lists and opens what is there; addresses begin with its
            ``protocol``.
    """

    files: type[fsspec.AbstractFileSystem]


def copy(fs: Any, remote: str, url: str, target: Path) -> None:
    """Copy a file to this machine.

    Args:
        fs: Its file system, and its path there, as from `file_system`.
        remote: The path.
        url: Names it in errors.
        target: Where the copy shall lie.

    Raises:
        SourceError: If it cannot be read.
    """
    with naming(url), fs.open(remote, "rb") as origin, target.open("wb") as stream:
        shutil.copyfileobj(origin, stream, 1 << 20)


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a path or an address, and the path in it.

    Raises:
        SourceError: If there is no such file system, or it is out of reach.
    """
    local = "://" not in url
    if not local:
        _register_added()
    with naming(url):
        fs, path = fsspec.core.url_to_fs(str(Path(url).expanduser().resolve()) if local else url)
        # Listings are kept per process by some file systems; a file may have arrived since.
        fs.invalidate_cache()
    return fs, path


def _register_added() -> None:
    """Let fsspec know the file systems that files in ``extensions/sources/`` define."""
    for source in extensions.added("sources", Source):
        protocols = source.files.protocol
        for protocol in (protocols,) if isinstance(protocols, str) else protocols:
            fsspec.register_implementation(protocol, source.files, clobber=True)


def exists(url: str) -> bool:
    """Tell whether there is a file, or on this machine a folder.

    Raises:
        SourceError: If its file system is out of reach.
    """
    fs, path = file_system(url)
    with naming(url):
        try:
            if isinstance(fs, LocalFileSystem):
                return Path(path).exists()  # a table may be a folder of parts
            return bool(fs.info(path)["type"] != "directory")
        except FileNotFoundError as error:
            if isinstance(error.__cause__, OSError):
                # fsspec's HTTP file system says "not found" for a server out of reach as well.
                raise error.__cause__ from None
            return False


@contextmanager
def naming(url: str) -> Iterator[None]:
    """Turn whatever a file system raises into a `SourceError`: they share no base class."""
    try:
        yield
    except MlopsError:
        raise
    except Exception as error:
        raise SourceError(
            f"{url}: cannot be read: {type(error).__name__}: {error}",
            "check the address, the credentials and the network",
        ) from error
