"""Whether to train again, and on which months: what is known comes in, a decision goes out."""

from __future__ import annotations

from collections.abc import Sequence

from mlops.data.references import Reference


class RetrainingDecision(Reference):
    """What a retraining is going to do.

    Attributes:
        needed: Whether to train.
        reason: Why, or why not, in words.
        months: The months to learn from.
        new_months: Those among them that the training set in use has not.
    """

    needed: bool
    reason: str
    months: tuple[str, ...]
    new_months: tuple[str, ...]


def decide_by_files(changed: Sequence[str], *, force: bool, reason: str) -> RetrainingDecision:
    """Decide about a table whose files hold rows of any time: it is learned from as a whole.

    Args:
        changed: Names of the files that are not what the training set in use was made from.
        force: Train although nothing is new.
        reason: Who or what asks, in words.
    """
    news = f"new or changed: {', '.join(changed)}" if changed else "no file has changed"
    needed = bool(changed) or force
    asked = reason or ("" if changed else "forced")
    return RetrainingDecision(
        needed=needed,
        reason="; ".join(filter(None, [asked, news])) if needed else f"nothing to do: {news}",
        months=(),
        new_months=(),
    )


def decide(
    had: Sequence[str], new: Sequence[str], *, force: bool, reason: str, max_months: int
) -> RetrainingDecision:
    """Decide whether to train again.

    The window grows with each new month until it holds ``max_months``; from then on it moves. It
    never becomes shorter than it was: more months, once requested, are kept.

    Args:
        had: The months of the training set in use; none if there is none.
        new: Later months that the source has.
        force: Train although nothing is new.
        reason: Who or what asks, in words.
        max_months: See above.
    """
    known = sorted(set(had) | set(new))
    months = tuple(known[-max(max_months, len(set(had))) :])
    added = tuple(month for month in months if month not in set(had))
    if added:
        news = f"new: {', '.join(added)}"
        return RetrainingDecision(
            needed=True,
            reason=f"{reason}; {news}" if reason else news,
            months=months,
            new_months=added,
        )
    newest = f"no month after {known[-1]}" if known else "no month"
    if force:
        return RetrainingDecision(
            needed=True,
            reason=f"{reason or 'forced'}; the source has {newest}",
            months=months,
            new_months=(),
        )
    return RetrainingDecision(
        needed=False,
        reason=f"nothing to do: the source has {newest}",
        months=months,
        new_months=(),
    )
