"""The gate: each rule refuses what it should, names itself, and never punishes a better model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.origins import TripOrigin, replacement
from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, PICKUP_ZONE
from mlops.errors import DataQualityError
from mlops.evaluation.evaluate import Evaluation, GateEvidence
from mlops.evaluation.gate import judge
from mlops.evaluation.metrics import IntervalMetrics, regression_metrics
from mlops.evaluation.slices import slice_metrics
from mlops.evaluation.verdict import Verdict
from mlops.settings import GateSettings

ROWS = 1_200
LIMITS = GateSettings(bootstrap_samples=200)
RULES = (
    "absolute quality",
    "baseline",
    "champion",
    "slices",
    "interval coverage",
    "latency",
    "size",
    "receipt",
)


def window(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2024-02-01")
    return pd.DataFrame(
        {
            PICKUP_AT: start + pd.to_timedelta(np.sort(rng.integers(0, 40_000, rows)), unit="min"),
            PICKUP_ZONE: rng.choice([74, 7, 97, 244], rows).astype("int32"),
            DISTANCE: rng.gamma(2, 1.5, rows),
        }
    )


WINDOW = window()
NOISE = np.random.default_rng(1).normal(0, 4, ROWS)


def evidence(errors: np.ndarray, **changes: Any) -> GateEvidence:
    """Evidence of a model with these errors that satisfies every other rule."""
    actual = np.full(len(errors), 30.0)
    frame = WINDOW.iloc[: len(errors)]
    gaps = changes.pop("receipt_gaps", ())
    measured: dict[str, Any] = {
        "metrics": regression_metrics(actual, actual + errors),
        "interval": IntervalMetrics(rows=len(errors), coverage=0.8, mean_width=12),
        "slices": slice_metrics(slice_labels(frame), actual, actual + errors),
        "latency_ms": 5,
        "size_mb": 3,
    }
    evaluation = Evaluation(**{**measured, **changes})
    floors = {"rmse": 8.0}
    return GateEvidence(evaluation, errors, slice_labels(frame), gaps, "min", floors)


def verdict_of(
    challenger: GateEvidence, champion: GateEvidence | None = None, **limits: Any
) -> Verdict:
    return judge(challenger, champion, 6.0, LIMITS.model_copy(update=limits))


def test_a_good_first_model_passes_every_rule() -> None:
    verdict = verdict_of(evidence(NOISE))

    assert verdict.passed
    assert tuple(rule.rule for rule in verdict.rules) == RULES
    assert verdict.refused_by == ()
    assert verdict.summary.startswith("passed with an RMSE of")


@pytest.mark.parametrize(
    ("rule", "challenger", "words"),
    [
        ("absolute quality", evidence(NOISE * 2.2), "RMSE is"),
        ("interval coverage", evidence(NOISE, interval=None), "no prediction interval"),
        (
            "interval coverage",
            evidence(NOISE, interval=IntervalMetrics(rows=1, coverage=0.5, mean_width=1)),
            "50.0% of answers",
        ),
        ("latency", evidence(NOISE, latency_ms=101), "101.0 ms"),
        ("size", evidence(NOISE, size_mb=251), "251.0 MB"),
        ("receipt", evidence(NOISE, receipt_gaps=("lock_hash",)), "misses lock_hash"),
    ],
)
def test_a_broken_rule_refuses_and_is_named(
    rule: str, challenger: GateEvidence, words: str
) -> None:
    verdict = judge(challenger, None, 20.0, LIMITS)

    assert not verdict.passed
    assert verdict.refused_by == (rule,)
    assert verdict.summary.startswith(f"refused by {rule}: ")
    assert words in verdict.summary


@pytest.mark.parametrize(
    ("rule", "setting", "upper"),
    [
        ("absolute quality", "max_rmse", True),
        ("baseline", "min_baseline_gain", False),
        ("slices", "max_slice_loss", True),
        ("interval coverage", "min_interval_coverage", False),
        ("latency", "max_latency_ms", True),
        ("size", "max_size_mb", True),
    ],
)
def test_a_value_at_its_limit_passes_and_one_beyond_does_not(
    rule: str, setting: str, upper: bool
) -> None:
    # Given a challenger that loses in Queens, far better elsewhere
    errors = np.where(WINDOW[PICKUP_ZONE] == 7, NOISE * 1.2, NOISE * 0.5)

    def at(**limits: float) -> Verdict:
        return verdict_of(evidence(errors), evidence(NOISE), **{"max_slice_loss": 0.5, **limits})

    (value,) = (found.value for found in at().rules if found.rule == rule)
    assert value is not None
    beyond = float(np.nextafter(value, -np.inf if upper else np.inf))

    assert at(**{setting: value}).passed
    assert at(**{setting: beyond}).refused_by == (rule,)


def test_a_model_no_better_than_the_baseline_is_refused() -> None:
    challenger = evidence(NOISE)

    verdict = judge(challenger, None, challenger.evaluation.metrics.rmse * 1.01, LIMITS)

    assert verdict.refused_by == ("baseline",)
    assert "1.0% better than the best baseline" in verdict.summary


@pytest.mark.parametrize(("baseline", "gain"), [(0.5, -1.0), (0.0, 0.0)])
def test_a_baseline_that_hardly_errs_or_never_is_not_beaten(baseline: float, gain: float) -> None:
    challenger = evidence(np.ones(ROWS))  # its RMSE is 1

    (rule,) = (r for r in judge(challenger, None, baseline, LIMITS).rules if r.rule == "baseline")

    assert rule.value == gain and not rule.passed


def test_without_any_baseline_the_model_is_refused() -> None:
    verdict = judge(evidence(NOISE), None, None, LIMITS)

    assert verdict.refused_by == ("baseline",)


def test_a_champion_that_learned_from_other_trips_is_not_compared_with() -> None:
    real, synthetic = TripOrigin("green", False), TripOrigin("green", True)
    much_better = evidence(NOISE * 0.1)

    replaced = judge(
        evidence(NOISE), much_better, 6.0, LIMITS, replacement(real, synthetic, allow=False)
    )
    assert replaced.passed, "real trips are learned from at last"
    assert replaced.rules[-1].rule == "origin" and "replaced without" in replaced.rules[-1].why
    assert "nothing to compare" in replaced.summary

    kept = judge(evidence(NOISE), None, 6.0, LIMITS, replacement(synthetic, real, allow=False))
    assert kept.refused_by == ("origin",)
    assert "synthetic trips of green taxis" in kept.summary and "--allow-mismatch" in kept.summary
    allowed = replacement(synthetic, real, allow=True)
    assert judge(evidence(NOISE), None, 6.0, LIMITS, allowed).passed


def test_the_same_model_as_the_champion_is_refused_as_not_better() -> None:
    verdict = verdict_of(evidence(NOISE), evidence(NOISE.copy()))

    assert verdict.refused_by == ("champion",)
    assert "same predictions as the champion" in verdict.summary


def test_a_gain_that_may_be_chance_is_refused() -> None:
    # Given a challenger whose RMSE is lower, but by less than the noise between the two
    other = np.random.default_rng(2).normal(0, 4.05, ROWS)
    challenger, champion = evidence(NOISE), evidence(other)
    assert challenger.evaluation.metrics.rmse < champion.evaluation.metrics.rmse

    verdict = verdict_of(challenger, champion, max_slice_loss=10.0)

    assert verdict.refused_by == ("champion",)


def test_a_clear_gain_over_the_champion_passes() -> None:
    verdict = verdict_of(evidence(NOISE * 0.95), evidence(NOISE))

    assert verdict.passed
    assert "5.0% better than the champion" in verdict.summary


def test_a_negative_limit_accepts_an_equal_model_for_a_refresh() -> None:
    assert verdict_of(evidence(NOISE), evidence(NOISE), min_champion_gain=-0.01).passed
    worse = verdict_of(evidence(NOISE * 1.02), evidence(NOISE), min_champion_gain=-0.01)
    assert worse.refused_by == ("champion",)


def test_a_gain_on_average_does_not_excuse_a_slice_that_got_worse() -> None:
    # Given a challenger far better everywhere but in Queens
    errors = np.where(WINDOW[PICKUP_ZONE] == 7, NOISE * 1.2, NOISE * 0.5)

    verdict = verdict_of(evidence(errors), evidence(NOISE))

    assert verdict.refused_by == ("slices",)
    assert "pickup borough Queens, is 20.0% worse" in verdict.summary


def test_a_loss_on_a_slice_that_may_be_chance_is_told_but_not_refused() -> None:
    # Given a challenger that is far better but for one slice, where two unrelated models happen to
    # differ by more than the budget
    small = (WINDOW[PICKUP_ZONE] == 7) & (WINDOW[DISTANCE] > 4)
    other = np.random.default_rng(8).normal(0, 4.1, ROWS)
    errors = np.where(small, other, NOISE * 0.5)
    frame = slice_labels(WINDOW).assign(**{"pickup borough": pd.Categorical(small)})
    challenger = dataclasses.replace(evidence(errors), labels=frame[["pickup borough"]])

    verdict = verdict_of(challenger, evidence(NOISE), min_slice_rows=20)

    slices = next(rule for rule in verdict.rules if rule.rule == "slices")
    assert slices.value is not None
    assert slices.value > slices.limit
    assert slices.passed
    assert "which may be chance" in slices.why
    # and a loss within the budget needs no such excuse
    within = verdict_of(challenger, evidence(NOISE), min_slice_rows=20, max_slice_loss=slices.value)
    assert not any("chance" in rule.why for rule in within.rules)


def test_a_slice_that_neither_gains_nor_loses_is_no_loss_however_strict_the_limit() -> None:
    assert verdict_of(
        evidence(NOISE), evidence(NOISE), min_champion_gain=-1.0, max_slice_loss=-1.0
    ).passed


def test_a_small_slice_is_not_judged() -> None:
    queens = WINDOW[PICKUP_ZONE] == 7
    errors, rows = np.where(queens, NOISE * 1.2, NOISE * 0.5), int(queens.sum())
    challenger = dataclasses.replace(
        evidence(errors), labels=slice_labels(WINDOW)[["pickup borough"]]
    )

    assert verdict_of(challenger, evidence(NOISE), min_slice_rows=rows + 1).passed
    judged = verdict_of(challenger, evidence(NOISE), min_slice_rows=rows)
    assert judged.refused_by == ("slices",)
    assert judged.summary.endswith("%)")  # one slice loses, and no more
    none = verdict_of(challenger, evidence(NOISE), min_slice_rows=ROWS + 1)
    assert none.passed
    assert [r.why for r in none.rules if r.rule == "slices"] == [f"no slice has {ROWS + 1} rows"]


def test_the_slices_that_lose_beside_the_worst_are_counted() -> None:
    errors = np.where(WINDOW[PICKUP_ZONE] == 7, NOISE * 1.2, NOISE * 0.5)
    queens = pd.Categorical(WINDOW[PICKUP_ZONE] == 7)
    for more, words in ((1, "1 more slice"), (2, "2 more slices")):
        labels = pd.DataFrame({f"dimension {number}": queens for number in range(more + 1)})
        challenger = dataclasses.replace(evidence(errors), labels=labels)

        summary = verdict_of(challenger, evidence(NOISE)).summary

        assert summary.endswith(f" (and {words})")


def test_no_table_line_ends_in_blanks() -> None:
    lines = verdict_of(evidence(NOISE)).table().splitlines()

    assert lines == [line.rstrip() for line in lines]


def test_different_windows_are_not_compared() -> None:
    with pytest.raises(DataQualityError, match="1200 rows, the champion on 600"):
        verdict_of(evidence(NOISE), evidence(NOISE[:600]))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    spread=st.floats(0.5, 12),
    champion_spread=st.one_of(st.none(), st.floats(0.5, 12)),
    shrink=st.floats(0, 1),
    baseline=st.floats(0.1, 12),
    coverage=st.floats(0, 1),
    latency=st.floats(0, 50),
    size=st.floats(0, 500),
    better=st.floats(0, 1),
)
def test_a_uniformly_better_challenger_never_turns_a_pass_into_a_refusal(
    seed: int,
    spread: float,
    champion_spread: float | None,
    shrink: float,
    baseline: float,
    coverage: float,
    latency: float,
    size: float,
    better: float,
) -> None:
    # Given any challenger, and another that errs less on each trip and is no worse otherwise
    rng = np.random.default_rng(seed)
    rows = 400
    errors = rng.normal(0, spread, rows)
    smaller = errors * rng.uniform(shrink, 1, rows)
    other = rng.normal(0, champion_spread, rows) if champion_spread else None
    champion = evidence(other) if other is not None else None
    interval = IntervalMetrics(rows=rows, coverage=coverage, mean_width=1)
    wider = IntervalMetrics(rows=rows, coverage=coverage + (1 - coverage) * better, mean_width=1)
    limits = LIMITS.model_copy(update={"min_slice_rows": 50})

    before = judge(
        evidence(errors, interval=interval, latency_ms=latency, size_mb=size),
        champion,
        baseline,
        limits,
    )
    after = judge(
        evidence(smaller, interval=wider, latency_ms=latency * better, size_mb=size * better),
        champion,
        baseline,
        limits,
    )

    # Then no rule that passed refuses now, hence neither does the gate
    assert set(after.refused_by) <= set(before.refused_by)
    assert after.passed or not before.passed


def test_a_verdict_survives_json() -> None:
    verdict = verdict_of(evidence(NOISE * 1.1), evidence(NOISE))

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_table_is_aligned_and_says_why() -> None:
    table = verdict_of(evidence(NOISE, latency_ms=140)).table()

    heading, *lines = table.splitlines()
    assert len(lines) == len(RULES)
    column = heading.index("why")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)
    (latency,) = (line for line in lines if line.startswith("latency"))
    words = "latency 140.0 ms <= 100.0 ms REFUSED one prediction takes 140.0 ms"
    assert " ".join(latency.split()) == words
