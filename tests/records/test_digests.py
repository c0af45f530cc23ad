"""A file that is not as it was written is found, whatever became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.records.digests import find_changed, is_intact, sha256_of


@pytest.mark.parametrize("change", [b"", b"other", b"contenT", None])
def test_the_first_file_that_changed_or_is_gone_is_found(
    tmp_path: Path, change: bytes | None
) -> None:
    (tmp_path / "inner").mkdir()
    names = ("a", "inner/b", "c")
    for name in names:
        (tmp_path / name).write_bytes(b"content")
    digests = {name: sha256_of(tmp_path / name) for name in names}
    assert find_changed(tmp_path, digests) is None

    for name in names[1:]:
        (tmp_path / name).unlink()
        if change is not None:
            (tmp_path / name).write_bytes(change)

    assert find_changed(tmp_path, digests) == tmp_path / "inner/b"
    assert is_intact(tmp_path / "a", digests["a"])
