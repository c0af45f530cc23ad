"""The receipt of a model: what it takes to make the same model again, and to explain it later."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from mlops import fingerprints
from mlops.data.origins import TripOrigin
from mlops.data.references import Reference, SourceFile, TrainingSetManifest, Window
from mlops.settings import PROJECT_ROOT, Settings

CODE_COMMIT_VARIABLE: Final = "MLOPS_CODE_COMMIT"
UNKNOWN: Final = "unknown"
DIRTY: Final = "+dirty"
_READ_LATE: Final = ("*.py", "*.yaml", ":!tests")  # what a process reads after its start
# What decides the numbers a fit produces, beside the lock file that pins everything.
_PACKAGES: Final = ("numpy", "pandas", "scikit-learn", "xgboost-cpu")
_REQUIRED: Final = ("data_hash", "code_commit", "lock_hash")
_FOR_REPRODUCTION: Final = ("threads", "cpu", "sources", "recipe", "interval")


class IntervalOrigin(Reference):
    """The fit behind a prediction interval, calibrated by twins that each left out some days."""

    family: str  # the family of quantiles; of older versions, that whose errors make the interval
    params: dict[str, Any]
    seed: int
    threads: int


class Receipt(Reference):
    """Where a model came from. Two models with equal receipts, times apart, are the same model."""

    data_hash: str  # SHA-256 of the training set's content
    code_commit: (
        str  # that was imported; `+dirty` behind it: files differed from it (`code_commit`)
    )
    lock_hash: str  # SHA-256 of requirements/runtime.txt
    seed: int
    family: str
    params: dict[str, Any]  # hyperparameters, constants and overrides included
    windows: dict[str, Window]  # train, validation, test
    taxi: Literal["green", "yellow", ""] = ""  # empty for every other dataset
    synthetic: bool  # learned from generated rows
    python: str
    packages: dict[str, str]
    pipeline: str = ""  # Mage pipeline; empty outside Mage
    pipeline_run_id: str = ""
    # Receipts of older versions lack what follows.
    dataset: str = "taxi"
    threads: int = 0  # of the fit: sums of floating-point numbers depend on their order
    cpu: str = ""  # which instructions numeric libraries chose
    sources: tuple[SourceFile, ...] = ()  # files the training set was made of
    # settings it was made by, by section
    recipe: dict[str, dict[str, Any]] = Field(default_factory=dict)
    interval: IntervalOrigin | None = None  # None for candidates, which have no interval yet
    created_at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def origin(self) -> TripOrigin:
        """Which rows it learned from: what it may be asked about."""
        return TripOrigin(self.taxi, self.synthetic, self.dataset)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The names of the fields that a reproduction would need, and this receipt has not."""
        return (*self.gaps, *(name for name in _FOR_REPRODUCTION if not getattr(self, name)))

    @property
    def dirty(self) -> bool:
        """Whether the code had changes that no commit holds."""
        return self.code_commit.endswith(DIRTY)

    @property
    def gaps(self) -> tuple[str, ...]:
        """The names of the fields without which the model cannot be made again."""
        return tuple(name for name in _REQUIRED if getattr(self, name) in ("", UNKNOWN))


def collect_receipt(
    manifest: TrainingSetManifest,
    family: str,
    params: Mapping[str, Any],
    settings: Settings,
    variables: Mapping[str, Any] | None = None,
    *,
    threads: int = 0,
    interval: IntervalOrigin | None = None,
) -> Receipt:
    """Write down where a model comes from.

    Args:
        manifest: The training set it learns from.
        family: Name of the model family.
        params: Every hyperparameter of the fit.
        settings: The configuration in force.
        variables: Run-time variables of the Mage block; name the pipeline and its run.
        threads: Of the fit.
        interval: The fit behind its prediction interval, if it has one.
    """
    variables = variables or {}
    return Receipt(
        data_hash=manifest.sha256,
        code_commit=code_commit(),
        lock_hash=lock_hash(),
        seed=settings.training.seed,
        family=family,
        # numpy's scalars become Python's, for JSON
        params={k: v.item() if hasattr(v, "item") else v for k, v in params.items()},
        windows=manifest.windows,
        taxi=manifest.extraction.taxi,
        dataset=manifest.dataset,
        synthetic=manifest.extraction.synthetic,
        python=platform.python_version(),
        packages=packages(),
        pipeline=str(variables.get("pipeline_uuid") or ""),
        pipeline_run_id=str(variables.get("pipeline_run_id") or ""),
        threads=threads,
        cpu=cpu(),
        sources=manifest.extraction.files,
        recipe=manifest.recipe,
        interval=interval,
    )


def packages() -> dict[str, str]:
    """Return the versions of the installed packages that decide the numbers of a fit."""
    return {name: found for name in _PACKAGES if (found := _installed(name))}


@cache
def cpu() -> str:
    """Return the architecture and, where the system tells it, the model of the processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{platform.machine()}, {line.partition(':')[2].strip()}"
    return ", ".join(filter(None, (platform.machine(), platform.processor())))


def note_code() -> None:
    """Take down which code this process runs: it and the processes it forks remember that.

    A process that lives long or forks blocks calls this when it starts, before files can change.
    """
    _ = imported_commit(), lock_hash(), fingerprints.sources()


def code_commit() -> str:
    """Return the commit of the running code, for what is written now.

    It is the commit that was imported, whatever has been checked out since. Modules that are
    imported late, blocks and pipelines are read from files that may have changed meanwhile, and
    nobody can tell which were: so ``+dirty`` is added if code differs from that commit now, too.
    """
    commit = imported_commit()
    if commit.endswith(DIRTY) or not _differs_now(commit):
        return commit
    return commit + DIRTY


@cache
def imported_commit() -> str:
    """Return the commit of the code as it was when this was asked first (see `note_code`).

    ``MLOPS_CODE_COMMIT`` wins, for images built without git's folder; then git itself, with
    ``+dirty`` where tracked files differ from the commit; else, as in an unpacked archive,
    ``source-`` and the hash of the package's own files, which identifies the code as well.
    """
    stated = os.environ.get(CODE_COMMIT_VARIABLE, "").strip()
    if stated:
        return stated
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return f"source-{_source_hash()}"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    # What is added to the library counts even before git knows of it.
    added = _git("status", "--porcelain", "--", "extensions/*.py")
    return commit if changed == "" and added == "" else commit + DIRTY


def _differs_now(commit: str) -> bool:
    if fingerprints.changed_sources():
        return True
    of_git = commit == _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    return of_git and _git("diff", "--name-only", commit, "--", *_READ_LATE) != ""


@cache
def lock_hash() -> str:
    """Return the SHA-256 of the lock file; ``unknown`` where the project has none."""
    lock = PROJECT_ROOT / "requirements" / "runtime.txt"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN


def _source_hash() -> str:
    digest = hashlib.sha256()
    for name, content in sorted(fingerprints.sources_on_disk().items()):
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:40]


def _git(*arguments: str) -> str | None:
    """Return what git prints; None if there is no answer."""
    # Only this project's own repository counts: a checkout unpacked inside another repository
    # must not be stamped with that one's commit.
    if not (PROJECT_ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
