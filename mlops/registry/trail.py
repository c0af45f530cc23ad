"""The trail of champions: every change of the champion, who made it and why; never rewritten.

Each change is one tag of the registered model, written before the alias moves. So a process that
dies in between leaves an entry for a change that never happened; reading the trail backwards from
the present champion tells those entries from the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

from mlops.data.references import Reference

_PREFIX: Final = "mlops.champion."
# MLflow's databases hold 5 000 characters per tag; the words of people are most of an entry.
MAX_REASON: Final = 2_000


class Promotion(Reference):
    """A version became champion."""

    version: int
    previous: int | None  # the champion before it
    at: datetime
    reason: str
    by: str
    kind: Literal["promotion", "rollback"] = "promotion"


def entry(promotion: Promotion) -> tuple[str, str]:
    """Return the tag that remembers a promotion: its key, which sorts by time, and its value."""
    return f"{_PREFIX}{promotion.at:%Y%m%dT%H%M%S.%f}", promotion.model_dump_json()


def read_trail(tags: Mapping[str, str], champion: int | None) -> tuple[Promotion, ...]:
    """Return the changes that took effect, newest first.

    Args:
        tags: Of the registered model.
        champion: The version that is champion now.
    """
    newest_first = sorted((key for key in tags if key.startswith(_PREFIX)), reverse=True)
    entries = (Promotion.model_validate_json(tags[key]) for key in newest_first)
    return tuple(_in_effect(entries, champion))


def _in_effect(entries: Iterable[Promotion], champion: int | None) -> Iterable[Promotion]:
    for promotion in entries:
        if promotion.version == champion:
            yield promotion
            champion = promotion.previous


def rollback_target(trail: tuple[Promotion, ...]) -> int | None:
    """Return where a rollback goes when it is told no version, or None.

    It undoes the last promotion. It never undoes a rollback: a second call, made twice in haste or
    by two people, would bring back the very version that was taken away.
    """
    return trail[0].previous if trail and trail[0].kind == "promotion" else None
