"""Reproduction by the very code of a version: its commit, checked out beside the present one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlops.errors import ConfigurationError, MlopsError
from mlops.registry.receipts import Receipt, lock_hash
from mlops.reproduction.findings import Reproduction
from mlops.settings import PROJECT_ROOT, Settings

_GIT_SECONDS: Final = 120
_LOCK: Final = "requirements/runtime.txt"
# What says which project's code and home a process works with.
_PLACES: Final = ("MLOPS_PROJECT", "MLOPS_HOME", "MLOPS_CODE_COMMIT", "PYTHONPATH")


def reproduce_exactly(
    version: int, receipt: Receipt, settings: Settings, threads: int = 0
) -> Reproduction:
    """Run `mlops reproduce` of the recorded commit, in the present environment.

    The commit is checked out into a temporary git worktree, which is removed again.

    Args:
        version: The number of the version.
        receipt: Names the commit and the lock file.
        settings: The home with the registry and the store.
        threads: As for `reproduce`.

    Raises:
        ConfigurationError: If the commit cannot be had, its lock file is another than the present
            one, or it is from before there was this command.
        MlopsError: If the run there fails.
    """
    commit = _commit(receipt)
    with _worktree(commit) as folder:
        _check(folder, commit)
        command = [sys.executable, "-m", "mlops.cli", "reproduce", str(version), "--json"]
        command += ["--threads", str(threads)] if threads else []
        kept = {name: value for name, value in os.environ.items() if name not in _PLACES}
        done = subprocess.run(
            command,
            cwd=folder,  # what lies here is imported before anything that is installed
            env={**kept, "MLOPS_HOME": str(settings.home), "PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,  # progress goes to the terminal
            text=True,
            check=False,
        )
    try:
        printed = json.loads(done.stdout)
        return Reproduction.model_validate(
            {name: printed[name] for name in Reproduction.model_fields}
        )
    except (ValueError, KeyError) as error:
        raise MlopsError(
            f"code {commit[:12]}: mlops reproduce {version} failed: {done.stdout.strip()[:500]}",
            "read the lines above, or omit --exact to use the present code",
        ) from error


def _commit(receipt: Receipt) -> str:
    commit = receipt.code_commit.removesuffix("+dirty")
    known = subprocess.run(
        ["git", "-C", str(PROJECT_ROOT), "cat-file", "-e", f"{commit}^{{commit}}"],
        capture_output=True,
        check=False,
    )
    if receipt.dirty:
        raise ConfigurationError(
            f"--exact: the version was made by commit {commit[:12]} with changes that were never"
            " committed",
            "omit --exact to use the present code",
        )
    if known.returncode:
        raise ConfigurationError(
            f"--exact: this repository has no commit {commit}",
            "fetch it: git fetch; or omit --exact to use the present code",
        )
    return commit


def _check(folder: Path, commit: str) -> None:
    lock = folder / _LOCK
    theirs = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else ""
    if theirs != lock_hash():
        raise ConfigurationError(
            f"--exact: commit {commit[:12]} locks other packages than the present code",
            f"install them: git worktree add ../exact {commit[:12]} && cd ../exact && make"
            " .venv/.runtime; then run .venv/bin/mlops reproduce there with MLOPS_HOME set to this"
            " home",
        )
    if not (folder / "mlops" / "reproduction").is_dir():
        raise ConfigurationError(
            f"--exact: commit {commit[:12]} does not have mlops reproduce",
            "omit --exact to use the present code",
        )


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "code"
        git = ["git", "-C", str(PROJECT_ROOT), "worktree"]
        added = subprocess.run(
            [*git, "add", "--detach", str(folder), commit],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
        if added.returncode:
            raise ConfigurationError(
                f"--exact: commit {commit[:12]} cannot be checked out: {added.stderr.strip()}",
                "omit --exact to use the present code",
            )
        try:
            yield folder
        finally:
            subprocess.run(
                [*git, "remove", "--force", str(folder)], capture_output=True, check=False
            )
