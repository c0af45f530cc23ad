"""What a check finds: how bad it is, where in the definition, and what to write there."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mlops.datasets.text import KeyPath

Severity = Literal["error", "warning", "note"]


class TableFinding(NamedTuple):
    """One thing that a table says about its definition.

    Attributes:
        severity: An error makes the check fail.
        path: Of the part of the definition that it is about.
        message: What was found.
        remedy: What to write, or what to do.
    """

    severity: Severity
    path: KeyPath
    message: str
    remedy: str
