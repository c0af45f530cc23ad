"""Digests of files: whether one is still what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_intact(path: Path, sha256: str) -> bool:
    """Tell whether a file is there and has the bytes of this SHA-256."""
    return path.is_file() and sha256_of(path) == sha256


def find_changed(folder: Path, digests: Mapping[str, str]) -> Path | None:
    """Return the first file that is gone or changed, or None.

    Args:
        folder: In which the files lie.
        digests: SHA-256 of each, by its place in the folder.
    """
    changed = (name for name, sha256 in digests.items() if not is_intact(folder / name, sha256))
    return next((folder / name for name in changed), None)
