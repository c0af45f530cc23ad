"""What the last main job was asked and how far it got, so that a killed job can go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from mlops.data.store.manifests import RECIPE
from mlops.errors import ConfigurationError
from mlops.orchestration.engine.engine import engine_lock
from mlops.orchestration.engine.interruption import interruptible
from mlops.orchestration.runs.lock import HomeLock
from mlops.records.files import find_record, write_record
from mlops.settings import ALIASES, Settings, dataset_option, load_settings


def resume_command(settings: Settings) -> str:
    """Return what a person types to go on with the last job of a dataset."""
    return "mlops run --resume" + dataset_option(settings.dataset)


class Journal(BaseModel):
    """The record of one main job.

    Attributes:
        variables: Run-time variables of every pipeline of the job.
        runs: The Mage run of each pipeline that was started.
        finished: Pipelines that are done, or had nothing to do.
    """

    model_config = ConfigDict(extra="forbid")

    variables: dict[str, Any] = {}
    runs: dict[str, int] = {}
    finished: list[str] = []
    _path: Path = PrivateAttr()

    @classmethod
    def of(cls, settings: Settings, variables: Mapping[str, Any]) -> Journal:
        """Start the record of a new job."""
        journal = cls(variables=dict(variables))
        journal._path = _path(settings)
        return journal

    @classmethod
    def read(cls, settings: Settings) -> Journal:
        """Load the record of the last job.

        Raises:
            ConfigurationError: If there is none to resume.
            DamagedFileError: If its file is damaged.
        """
        path = _path(settings)
        journal = find_record(path, cls, "start a new job with: mlops run; the store is kept")
        if journal is None:
            raise ConfigurationError(
                f"there is no interrupted job in {path.parent}", "start one with: mlops run"
            )
        journal._path = path
        return journal

    def take_up(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Take up the variables that a resumed job was given anew; return them, as it spells them.

        Raises:
            ConfigurationError: If the training set, which is built already, depends on one of them.
        """
        spelled = {ALIASES.get(name, name): name for name in self.variables}
        before = load_settings(self.variables, strict=False)
        changed = {}
        for name, value in variables.items():
            path = ALIASES.get(name, name)
            given = {spelled.get(path, path): value}
            after = load_settings({**self.variables, **given}, strict=False)
            if after == before and not (name == "promote" and value):
                continue
            changed.update(given)
            if decides_the_data(path) and "data_preparation" in self.finished:
                raise ConfigurationError(
                    f"{path}: the training set of this job has been built already",
                    "start a new job with this setting: mlops run",
                )
        self.variables.update(changed)
        return changed

    def forget(self, pipeline: str) -> None:
        """Let a pipeline run anew."""
        self.runs.pop(pipeline, None)
        self.finished[:] = [name for name in self.finished if name != pipeline]

    def write(self) -> None:
        """Store the record."""
        write_record(self._path, self)


@dataclass(frozen=True)
class Job:
    """A main job in progress, and the lock of its home."""

    journal: Journal
    lock: HomeLock
    resumed: bool
    changed: Mapping[str, Any]  # variables that it was given anew when it was resumed


@contextmanager
def begin_job(settings: Settings, variables: Mapping[str, Any], *, resume: bool) -> Iterator[Job]:
    """Open the record of a new job, or of the last one, before anything else is loaded.

    So a second job is refused at once, and one that is interrupted while Mage loads can be resumed.

    Raises:
        BusyError: If another engine works in this home.
        ConfigurationError: If there is no job to resume, or it can no longer take up a setting.
        InterruptionError: On Ctrl-C.
    """
    with engine_lock(settings) as lock:
        journal = Journal.read(settings) if resume else Journal.of(settings, variables)
        changed = journal.take_up(variables) if resume else {}
        journal.write()
        with interruptible(lambda: resume_command(settings)):
            yield Job(journal, lock, resumed=resume, changed=changed)


def decides_the_data(name: str) -> bool:
    """Tell whether a setting decides what the training set holds."""
    return ALIASES.get(name, name).partition(".")[0] in RECIPE


def _path(settings: Settings) -> Path:
    return settings.runs / "main_job.json"
