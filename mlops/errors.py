"""Every failure a user can mend, with its exit code and the sentence that says how."""

from __future__ import annotations

from typing import Final

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


class ConfigurationError(MlopsError):
    """A setting, option or variable is unknown or has a value that makes no sense."""

    exit_code = 2


class SourceError(MlopsError):
    """Trips could not be read: missing month, truncated file, wrong schema, no network."""

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
    """A file of the home does not hold what was written to it."""

    exit_code = 14
