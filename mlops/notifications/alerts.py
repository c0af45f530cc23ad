"""An alert: what is sent, the same for every channel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from mlops.data.references import Reference

Kind = Literal[
    "failure", "sla", "promotion", "rollback", "refused", "monitoring", "recovered", "test"
]
Severity = Literal["info", "warning", "error"]

SEVERITY: Final[Mapping[Kind, Severity]] = {
    "failure": "error",
    "sla": "warning",
    "promotion": "info",
    "rollback": "warning",
    "refused": "warning",
    "monitoring": "warning",
    "recovered": "info",
    "test": "info",
}

_LONGEST_TITLE: Final = 140
_LONGEST_TEXT: Final = 2_500  # what the narrowest channel, Slack, still shows as a whole


def _line(text: str) -> str:
    """Make one short line of a text: a title is also a mail's subject."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1]}…"


def _excerpt(text: str) -> str:
    """Keep the end of a long text: of an error, that says what went wrong."""
    return text if len(text) <= _LONGEST_TEXT else f"…{text[1 - _LONGEST_TEXT :]}"


class Alert(Reference):
    """One thing that people should know.

    Attributes:
        kind: What sort of thing.
        severity: How much it matters; by default as `SEVERITY` says of its kind.
        incident: What it is about; alerts with the same key are the same incident.
        stage: How far the incident has come, in a few words; each stage is reported at once.
        repeats: Whether people are reminded of it while it lasts.
        title: One line.
        text: A few sentences, plain.
        facts: Names to values, shown as a list.
        link: Where to look, if anywhere.
        command: What to type to act on it.
        at: With time zone.
    """

    kind: Kind
    severity: Severity = "info"
    incident: str
    stage: str = ""
    repeats: bool = True
    title: Annotated[str, BeforeValidator(_line)]
    text: Annotated[str, BeforeValidator(_excerpt)] = ""
    facts: dict[str, str] = Field(default_factory=dict)
    link: str = ""
    command: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))

    @model_validator(mode="before")
    @classmethod
    def _as_severe_as_its_kind(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("kind") in SEVERITY:
            return {"severity": SEVERITY[given["kind"]], **given}
        return given
