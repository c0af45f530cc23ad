"""What was read before, and how to tell cheaply whether it has changed since.

A refresh costs next to nothing while nothing happens: each source has a *stamp*, which is cheap to
take and differs whenever the source's content may differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from mlops.observability.world import ObservedWorld

T = TypeVar("T")
Stamp = Hashable


@dataclass(frozen=True)
class WorldPart(Generic[T]):
    """A part of the world that is read again only when its stamp has changed.

    Attributes:
        name: Unique.
        read: Reads it.
        stamp: Tells cheaply whether it may have changed; taken before it is read.
    """

    name: str
    read: Callable[[ObservedWorld], T]
    stamp: Callable[[ObservedWorld], Stamp]


@dataclass
class Memory:
    """What one observer remembers from refresh to refresh; not for several threads.

    Attributes:
        values: What was read, with the stamp it was read under, by part.
        built: The stamps of the parts that a table was last built from, by table.
        written: The stamp of each table's file when it was last written, by table.
        problems: Why a table could not be built from them, by table.
    """

    values: dict[str, tuple[Stamp, Any]] = field(default_factory=dict)
    built: dict[str, Mapping[WorldPart[Any], Stamp]] = field(default_factory=dict)
    written: dict[str, Stamp] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def stamp_of(*paths: Path) -> Stamp:
    """Return what differs whenever one of the files, or a file directly in a folder, changed.

    Args:
        paths: Files and folders; one that does not exist has a stamp as well.
    """
    return tuple(entry for path in paths for entry in _entries(path))


def _entries(path: Path) -> list[tuple[str, int, int, int]]:
    try:
        if not path.is_dir():
            return [_entry(path.name, path.stat())]
        with os.scandir(path) as found:
            return sorted(_entry(entry.name, entry.stat()) for entry in found)
    except FileNotFoundError:  # not there yet, or just replaced: the next stamp differs
        return []


def _entry(name: str, stat: os.stat_result) -> tuple[str, int, int, int]:
    return name, stat.st_ino, stat.st_mtime_ns, stat.st_size
