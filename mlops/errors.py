"""Every failure a user can mend, with its exit code and the sentence that says how."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# What each exit code of the command line means; `mlops --help` and the README print this table.
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "success",
    1: "unexpected error, or a failed check of `mlops doctor`",
    2: "wrong command, option, variable or setting, or nothing to apply it to",
    3: "rows could not be read",
    4: "the data contract is broken",
    5: "the gate refused a model",
    6: "a pipeline failed",
    7: "another run holds the lock",
    8: "the tracking server or the model registry has a problem",
    9: "a server did not start, or stopped unexpectedly",
    10: "a version was not deployed, or was rolled back",
    11: "a message was not delivered",
    12: "monitoring calls for an action that was not started",
    13: "a version is not what its receipt says",
    14: "a stored file is damaged",
    15: "a model is not the one that was logged, and was not loaded",
    130: "interrupted by Ctrl-C",
}
HINT: Final = "\n  what to do: "  # between message and hint, in the text of an error


class MlopsError(Exception):
    """A failure that a person can act on.

    Args:
        message: What went wrong, naming the field, file, block or rule.
        hint: What to do about it, as an imperative sentence.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}{HINT}{self.hint}" if self.hint else self.message

    @property
    def in_one_line(self) -> str:
        """The message and the hint, where there is room for a line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question that names what was probably meant, or nothing if nothing is close.

    Args:
        name: What was written.
        names: What is accepted.
    """
    known = sorted(set(names))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    # The last part of a dotted name is what people remember.
    close += [each for each in known if each.rpartition(".")[2] == name and each not in close]
    return f"did you mean {' or '.join(close[:3])}?" if close else ""


class ConfigurationError(MlopsError):
    """A setting, option or variable is unknown, makes no sense, or there is nothing to apply it to.

    The same request fails again until something else has happened.
    """

    exit_code = 2


class SourceError(MlopsError):
    """Rows could not be read: missing month, truncated file, wrong schema, no network."""

    exit_code = 3


class DataQualityError(MlopsError):
    """A batch breaks the data contract beyond the configured limit."""

    exit_code = 4


class GateRefusalError(MlopsError):
    """The gate refused a model; nothing was promoted."""

    exit_code = 5


class PipelineFailureError(MlopsError):
    """A pipeline run ended without success."""

    exit_code = 6


class CandidateFailureError(PipelineFailureError):
    """A candidate could not be trained or evaluated; its siblings were."""


class BusyError(MlopsError):
    """Another run holds the project's lock."""

    exit_code = 7


class RegistryError(MlopsError):
    """The tracking server or the model registry cannot do what was asked."""

    exit_code = 8


class ServerError(MlopsError):
    """A server process did not start, or ended by itself."""

    exit_code = 9


class DeploymentError(MlopsError):
    """A version was not deployed, or was taken back: nothing answers worse than before."""

    exit_code = 10


class NotificationError(MlopsError):
    """A message did not arrive."""

    exit_code = 11


class MonitoringError(MlopsError):
    """Monitoring wants something done that was not started."""

    exit_code = 12


class DamagedFileError(MlopsError):
    """A file of the home does not hold what was written to it.

    Args:
        message: As for all.
        hint: As for all.
        path: Of the file.
    """

    exit_code = 14

    def __init__(self, message: str, hint: str = "", path: Path | None = None) -> None:
        super().__init__(message, hint)
        self.path = path


class UntrustedArtifactError(MlopsError):
    """A model is not one that this home logged or accepted, so it is not loaded."""

    exit_code = 15


class InterruptionError(MlopsError):
    """A person pressed Ctrl-C."""

    exit_code = 130


def cause_of(error: Exception) -> str:
    """Return what an error says, without the path that an `OSError` repeats."""
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__


def unwritable(folder: Path, error: OSError) -> ConfigurationError:
    """Return what to tell when the operating system does not let us write in a folder."""
    return ConfigurationError(
        f"{folder} cannot be written: {cause_of(error)}",
        "free space or make it writable, or set MLOPS_HOME to another folder",
    )
