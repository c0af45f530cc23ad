"""The code of a version's own commit, in a worktree beside the present one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import ConfigurationError
from mlops.registry.receipts import Receipt
from mlops.registry.versions import Registry
from mlops.reproduction import exact
from mlops.reproduction.exact import reproduce_exactly

ROOT = Path(__file__).resolve().parents[2]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A repository of three commits: before the command, with it, and with other packages."""
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "-q")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    (folder / ".gitignore").write_text("__pycache__\n")
    commits = {"before": commit(folder, "packages")}
    shutil.copytree(ROOT / "mlops", folder / "mlops")
    (folder / "mlops" / "only_here.py").write_text("")
    commits["with"] = commit(folder, "code")
    (folder / "requirements" / "runtime.txt").write_text("numpy==1.0.0\n")
    commits["other packages"] = commit(folder, "newer packages")
    return folder, commits


@pytest.fixture
def repository(
    history: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    monkeypatch.setattr(exact, "PROJECT_ROOT", history[0])
    return history[1]


@pytest.fixture(scope="session")
def receipt(linear: Any) -> Receipt:
    info = Registry(linear.settings).get(1)
    assert info is not None and info.receipt is not None
    return info.receipt


def test_the_recorded_commit_runs_and_leaves_no_worktree(
    repository: dict[str, str], receipt: Receipt, linear: Any
) -> None:
    made_by = receipt.model_copy(update={"code_commit": repository["with"]})

    found = reproduce_exactly(1, made_by, linear.settings)

    assert found.code == repository["with"]
    assert found.matches, found.summary
    assert git(exact.PROJECT_ROOT, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("commit", "says", "hint"),
    [
        ("with+dirty", "never committed", "omit --exact"),
        ("unknown", "has no commit", "git fetch"),
        ("other packages", "locks other packages", "git worktree add"),
        ("before", "does not have mlops reproduce", "omit --exact"),
    ],
)
def test_what_cannot_be_exact_is_said(
    commit: str, says: str, hint: str, repository: dict[str, str], receipt: Receipt, linear: Any
) -> None:
    name, plus, dirty = commit.partition("+")
    made_by = receipt.model_copy(
        update={"code_commit": repository.get(name, "0" * 40) + plus + dirty}
    )

    with pytest.raises(ConfigurationError) as raised:
        reproduce_exactly(1, made_by, linear.settings)

    assert says in " ".join(raised.value.message.split())
    assert hint in raised.value.hint
    assert git(exact.PROJECT_ROOT, "worktree", "list").count("\n") == 0
