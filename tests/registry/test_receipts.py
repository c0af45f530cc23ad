"""Receipts: complete, honest about uncommitted code, and plain JSON."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlops.data.references import TrainingSetManifest
from mlops.registry import receipts
from mlops.registry.receipts import (
    Receipt,
    code_commit,
    collect_receipt,
    imported_commit,
    lock_hash,
)
from mlops.settings import Settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, without git, whose commit is asked for afresh."""
    monkeypatch.setattr(receipts, "PROJECT_ROOT", tmp_path)
    monkeypatch.delenv(receipts.CODE_COMMIT_VARIABLE, raising=False)
    imported_commit.cache_clear()
    lock_hash.cache_clear()
    yield tmp_path
    imported_commit.cache_clear()
    lock_hash.cache_clear()


def git(project: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(project), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def committed(project: Path) -> str:
    git(project, "init", "-q")
    (project / "code.py").write_text("x = 1\n")
    git(project, "add", "code.py")
    git(project, "commit", "-q", "-m", "first")
    return git(project, "rev-parse", "HEAD")


def test_the_receipt_holds_what_makes_the_model_again(manifest: TrainingSetManifest) -> None:
    params = {"alpha": np.float64(0.5), "depth": np.int64(3), "kind": "l1", "limit": None}

    found = collect_receipt(
        manifest, "lasso", params, Settings(), {"pipeline_uuid": "p", "pipeline_run_id": 4}
    )

    assert found.data_hash == manifest.sha256
    assert found.params == {"alpha": 0.5, "depth": 3, "kind": "l1", "limit": None}
    assert found.windows["test"] == manifest.test
    assert found.synthetic
    assert (found.pipeline, found.pipeline_run_id) == ("p", "4")
    assert found.packages["scikit-learn"].startswith("1.7")
    assert found.gaps == ()
    assert Receipt.model_validate_json(found.model_dump_json()) == found


def test_a_receipt_from_before_reproduction_still_loads_and_says_what_it_lacks(
    receipt: Receipt,
) -> None:
    newer = {"threads", "cpu", "sources", "recipe", "interval"}
    old = receipt.model_dump(mode="json", exclude=newer)

    assert set(Receipt.model_validate(old).lacking) == newer


def test_what_is_missing_is_named(receipt: Receipt) -> None:
    holes = receipt.model_copy(update={"data_hash": "", "lock_hash": receipts.UNKNOWN})

    assert holes.gaps == ("data_hash", "lock_hash")


def test_the_commit_is_that_of_the_project(project: Path) -> None:
    commit = committed(project)

    assert code_commit() == commit


def test_uncommitted_changes_are_admitted(project: Path, receipt: Receipt) -> None:
    commit = committed(project)
    (project / "code.py").write_text("x = 2\n")

    found = code_commit()

    assert found == f"{commit}+dirty"
    assert receipt.model_copy(update={"code_commit": found}).dirty


def test_untracked_files_are_no_change_of_the_code(project: Path) -> None:
    commit = committed(project)
    (project / "notes.txt").write_text("x")

    assert code_commit() == commit


def test_the_commit_stays_that_of_the_code_that_was_imported(project: Path) -> None:
    commit = committed(project)
    assert code_commit() == commit

    # When code is pulled, then what was imported late may be of it: nobody can tell
    (project / "code.py").write_text("x = 2\n")
    git(project, "commit", "-qam", "second")
    assert git(project, "rev-parse", "HEAD") != commit
    assert code_commit() == f"{commit}+dirty"

    # When the code is as it was, whatever commit is checked out, then it is that of the first
    (project / "code.py").write_text("x = 1\n")
    git(project, "commit", "-qam", "third")
    assert code_commit() == commit
    assert imported_commit() == commit


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("README.md", ""),
        ("tests/test_code.py", ""),
        ("pipelines/training/metadata.yaml", "+dirty"),
        ("transformers/block.py", "+dirty"),
    ],
)
def test_only_what_is_read_after_the_start_can_make_it_doubtful(
    project: Path, name: str, dirty: str
) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("before")
    git(project, "init", "-q")
    git(project, "add", "-A")
    commit = committed(project)
    assert code_commit() == commit

    (project / name).write_text("after")

    assert code_commit() == commit + dirty


def test_without_git_a_change_of_the_library_is_admitted_as_well(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = code_commit()
    monkeypatch.setattr(receipts.fingerprints, "changed_sources", lambda: ("errors.py",))

    assert code_commit() == f"{source}+dirty"


def test_where_git_does_not_answer_nothing_is_called_clean(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(project)
    (project / ".git" / "index").write_bytes(b"damaged")

    assert code_commit() == f"{commit}+dirty"


def test_an_image_without_git_states_its_commit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(receipts.CODE_COMMIT_VARIABLE, "feed5eed")

    assert code_commit() == "feed5eed"


def test_an_unpacked_archive_is_identified_by_its_content(project: Path) -> None:
    # Given a project without .git, inside another repository whose commit is not ours
    committed(project)
    inner = project / "inner"
    inner.mkdir()
    receipts.PROJECT_ROOT = inner

    found = code_commit()

    assert found.startswith("source-")
    imported_commit.cache_clear()
    assert code_commit() == found


def test_the_lock_hash_follows_the_lock_file(project: Path) -> None:
    assert lock_hash() == receipts.UNKNOWN
    lock_hash.cache_clear()
    (project / "requirements").mkdir()
    (project / "requirements" / "runtime.txt").write_text("numpy==1.26.4\n")

    assert len(lock_hash()) == 64
