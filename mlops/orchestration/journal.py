"""What the last main job was asked and how far it got, so that a killed job can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.data.atomic import atomic_file
from mlops.errors import ConfigurationError
from mlops.settings import Settings


@dataclass
class Journal:
    """The record of one main job.

    Attributes:
        path: Where it is stored.
        variables: Run-time variables of every pipeline of the job.
        runs: The Mage run of each pipeline that was started.
        finished: Pipelines that are done, or had nothing to do.
    """

    path: Path
    variables: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings, variables: Mapping[str, Any]) -> Journal:
        """Start the record of a new job."""
        return cls(_path(settings), dict(variables))

    @classmethod
    def read(cls, settings: Settings) -> Journal:
        """Load the record of the last job.

        Raises:
            ConfigurationError: If there is none to resume.
        """
        path = _path(settings)
        if not path.exists():
            raise ConfigurationError(
                f"there is no interrupted job in {path.parent}", "start one with: mlops run"
            )
        return cls(path=path, **json.loads(path.read_text(encoding="utf-8")))

    def write(self) -> None:
        """Store the record."""
        content = {"variables": self.variables, "runs": self.runs, "finished": self.finished}
        with atomic_file(self.path) as path:
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _path(settings: Settings) -> Path:
    return settings.home / "runs" / "main_job.json"
