"""The trail of champions: what happened is told from what was only begun."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlops.registry.trail import MAX_REASON, Promotion, entry, read_trail, rollback_target

START = datetime(2024, 3, 1, tzinfo=timezone.utc)


def move(version: int, previous: int | None, minute: int, kind: Any = "promotion") -> Promotion:
    at = START + timedelta(minutes=minute)
    return Promotion(
        version=version, previous=previous, at=at, reason="because", by="ann", kind=kind
    )


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.booleans(), st.sampled_from(["promotion", "rollback"])),
        max_size=30,
    )
)
def test_only_what_took_effect_is_read(attempts: list[tuple[int, bool, Any]]) -> None:
    tags = {"mlops.rollout": "something else"}
    champion, expected = None, []
    for minute, (version, survives, kind) in enumerate(attempts):
        if version == champion:
            continue
        attempt = move(version, champion, minute, kind)
        key, value = entry(attempt)
        tags[key] = value
        if survives:  # else the process died before the alias moved
            champion = version
            expected.append(attempt)

    assert read_trail(tags, champion) == tuple(reversed(expected))


def test_a_rollback_undoes_a_promotion_but_no_rollback() -> None:
    first, second = move(1, None, 0), move(2, 1, 1)
    back = move(1, 2, 2, "rollback")

    assert rollback_target(()) is None
    assert rollback_target((first,)) is None
    assert rollback_target((second, first)) == 1
    assert rollback_target((back, second, first)) is None


def test_an_entry_fits_into_a_tag() -> None:
    long = move(1, None, 0).model_copy(update={"reason": "ä" * MAX_REASON})

    assert len(entry(long)[1]) < 5_000
