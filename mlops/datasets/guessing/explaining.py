"""What a person reads of a guess: a row per column, and a comment where it should be checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.datasets.guessing.columns import ColumnGuess, Sureness
from mlops.datasets.guessing.request import Request
from mlops.datasets.guessing.roles import Note, Times


def report(
    columns: Mapping[str, ColumnGuess],
    unread: Mapping[str, str],
    roles: set[str],
    content: Mapping[str, Any],
    left_out: Mapping[str, str],
    times: Times,
    strengths: Mapping[str, float],
    doubts: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return a row per column: its role and type, the evidence, and how sure the guess is.

    Args:
        columns: That were looked at, by name.
        unread: Columns that were not, and why.
        roles: Names of target, event and outcome.
        content: The definition.
        left_out: Why columns are not used.
        times: With the evidence of each.
        strengths: R² of each feature alone.
        doubts: Why features may not be known when a prediction is asked for.
    """
    names = {times.event: "event", times.outcome: "outcome", content["task"]["target"]: "target"}
    rows = []
    for name, each in columns.items():
        note = times.notes.get(name, Note(each.evidence, each.sureness))
        note = Note(doubts[name], "check") if name in doubts else note
        role = names.get(name) or ("feature" if name in content["features"] else "left out")
        if role == "left out" and name in content.get("key", ()):
            role, note = "key", Note("names single rows", "likely")
        elif role == "left out" and name in content["split"].get("group", ()):
            role, note = "group", Note("names what several rows have in common", "likely")
        elif role == "left out":
            sureness: Sureness = "sure" if each.distinct <= 1 else "check"
            note = Note(left_out.get(name, each.evidence), sureness)
        elif name in content.get("key", ()):
            role = f"{role}, key"
        evidence = note.evidence
        if name in strengths:
            evidence += f"; R² alone {strengths[name]:.2f}"
        if each.missing and role != "left out":
            evidence += f"; {each.missing:.1%} missing"
        kind = each.kind if role != "left out" else "–"
        rows.append(
            {
                "column": name,
                "role": role,
                "type": kind,
                "evidence": evidence,
                "confidence": note.sureness,
            }
        )
    for name, reason in unread.items():
        rows.append(
            {
                "column": name,
                "role": "left out",
                "type": "–",
                "evidence": reason,
                "confidence": "sure",
            }
        )
    return rows


def comments(
    content: Mapping[str, Any],
    request: Request,
    times: Times,
    key_note: Note,
    features: Mapping[str, ColumnGuess],
    columns: Mapping[str, ColumnGuess],
    less: str,
    zone_of_file: str,
) -> dict[tuple[str, ...], str]:
    """Return what a person should check, by path of the definition."""
    notes: dict[tuple[str, ...], str] = {}
    if not request.title:
        notes[("title",)] = "write the question as people ask it"
    if "unit" not in content["task"]:
        notes[("task", "target")] = "add unit: … here if it has one"
    for field, name in (("event", times.event), ("outcome", times.outcome)):
        found = times.notes.get(name)
        if found and found.sureness != "sure":
            notes[("time", field)] = found.evidence
    if times.event and not request.zone:
        if zone_of_file:
            note = f"the files name {zone_of_file}"
        elif columns[times.event].zoned:
            note = "the times carry their zone; this one is for the calendar and must be checked"
        else:
            note = "assumed; write the zone of the clock that wrote the times"
        notes[("time", "zone")] = note
    if times.event and not times.outcome:
        notes[("time", "event")] = "; ".join(
            filter(
                None,
                (
                    notes.get(("time", "event"), ""),
                    "no outcome was found: the target counts as known at the event",
                ),
            )
        )
    if "key" in content:
        notes[("key",)] = key_note.evidence
    for name, each in features.items():
        if each.sureness != "sure":
            notes[("features", name)] = each.evidence
    if less:
        notes[("histories",)] = f"{content['task']['target']} follows {less} one to one"
    groups = ", ".join(content["split"].get("group", ()))
    notes[("split",)] = (
        f"the model is judged by rows of {groups} that it never saw, as if all requests were new"
        if groups
        else "the test rows judge the model; they should resemble its use"
    )
    notes[("rules",)] = "limits from what was seen; rows beyond them are flagged and kept"
    notes[("floors",)] = "the error of predicting the mean; a model must at least beat it"
    return notes
