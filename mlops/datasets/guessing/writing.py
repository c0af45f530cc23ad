"""A guessed definition as a file: a line per column, a comment where a person should check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops.counting import counted
from mlops.datasets.guessing.proposal import Proposal
from mlops.datasets.text import as_text

_IN_ONE_LINE = ("source", "key", "split", "floors")


def definition_text(proposal: Proposal, rows: int, sampled: int) -> str:
    """Write a proposal as YAML.

    Args:
        proposal: What was guessed.
        rows: Of the table.
        sampled: Rows that were looked at.
    """
    seen = counted(rows, "row") if sampled == rows else f"{sampled:,} of {rows:,} rows"
    lines = [
        f"# Guessed from {seen} by `mlops dataset init`. What a comment says should be checked;",
        "# `mlops dataset check` says whether the table agrees, `mlops dataset schema` every key.",
    ]
    for section, values in proposal.content.items():
        lines += _section(section, values, proposal.comments)
        if section == "features":
            lines += [
                f"  # left out: {as_text(name, flow=True)} – {reason}"
                for name, reason in proposal.left_out.items()
            ]
    return "\n".join(lines) + "\n"


def _section(section: str, values: Any, comments: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    note = _note(comments, section)
    if not isinstance(values, dict | list) or section in _IN_ONE_LINE:
        yield f"{section}: {as_text(values, flow=True)}{note}"
        return
    yield f"{section}:{note}"
    if isinstance(values, list):
        for position, each in enumerate(values):
            yield f"  - {as_text(each, flow=True)}{_note(comments, section, str(position))}"
        return
    for name, value in values.items():
        shown = f"{as_text(name, flow=True)}: {as_text(value, flow=True)}"
        yield f"  {shown}{_note(comments, section, name)}"


def _note(comments: Mapping[tuple[str, ...], str], *path: str) -> str:
    comment = comments.get(path)
    return f"  # check: {' '.join(comment.split())}" if comment else ""
