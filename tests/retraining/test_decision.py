"""Whether to train again, and on which months."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlops.data.months import next_month
from mlops.retraining.decision import decide

MONTHS = ["2023-01"]
while len(MONTHS) < 40:
    MONTHS.append(next_month(MONTHS[-1]))


@given(
    had=st.integers(0, 20),
    new=st.integers(0, 10),
    force=st.booleans(),
    max_months=st.integers(1, 24),
)
def test_the_newest_months_are_learned_from_and_the_window_never_shrinks(
    had: int, new: int, force: bool, max_months: int
) -> None:
    known = MONTHS[: had + new]
    decision = decide(
        known[:had], known[had:], force=force, reason="because", max_months=max_months
    )

    assert decision.needed == (force or new > 0)
    assert decision.months == tuple(known[-len(decision.months) :] if known else ())
    assert len(decision.months) == min(len(known), max(max_months, had))
    assert decision.new_months == tuple(m for m in decision.months if m in known[had:])
    assert "because" in decision.reason or not decision.needed


def test_the_reason_names_what_is_new_what_is_not_and_who_asked() -> None:
    options = {"reason": "weekly", "max_months": 13}
    assert decide(["2024-01"], ["2024-02"], force=False, **options).reason == (
        "weekly; new: 2024-02"
    )
    assert decide(["2024-01"], [], force=True, **options).reason == (
        "weekly; the source has no month after 2024-01"
    )
    assert decide(["2024-01"], [], force=False, **options).reason == (
        "nothing to do: the source has no month after 2024-01"
    )
