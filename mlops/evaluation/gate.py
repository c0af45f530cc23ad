"""Whether a model may replace the champion, and in words a person can read why or why not.

Every rule is monotone: a challenger that is better on each row, and no worse otherwise, never
turns a pass into a refusal. Missing evidence refuses; only the very first model, which has no
champion to beat, is excused from the two rules that compare with one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlops.counting import counted, decimals_for
from mlops.data.origins import Replacement
from mlops.errors import DataQualityError
from mlops.evaluation.bootstrap import GainInterval, relative_gain
from mlops.evaluation.evaluate import GateEvidence
from mlops.evaluation.verdict import RuleResult, Sense, Verdict
from mlops.settings import GateSettings


def judge(
    challenger: GateEvidence,
    champion: GateEvidence | None,
    baseline_rmse: float | None,
    settings: GateSettings,
    mismatch: Replacement | None = None,
) -> Verdict:
    """Apply every rule to a challenger.

    A challenger that predicts exactly as the champion is refused at the default
    ``min_champion_gain`` of 0: replacing a model by its equal is all risk and no gain. A negative
    limit turns the rule into "certainly not worse by more than that", for refreshes.

    Args:
        challenger: Evidence on the test window.
        champion: Evidence of the present champion on the same rows; None if there is none yet.
        baseline_rmse: Of the best baseline on the same window; None if none was trained.
        settings: The limits.
        mismatch: Given if the champion learned from other rows, so that the two cannot be
            compared: whether it may be replaced all the same.

    Raises:
        DataQualityError: If the two models were not evaluated on the same number of rows.
    """
    if champion is not None and champion.errors.shape != challenger.errors.shape:
        raise DataQualityError(
            f"the challenger was evaluated on {len(challenger.errors)} rows, the champion on "
            f"{len(champion.errors)}",
            "evaluate both on the same test window",
        )
    rules = (
        *_absolute(challenger, settings),
        _baseline(challenger, baseline_rmse, settings),
        _champion(challenger, champion, settings, mismatch),
        _slices(challenger, champion, settings, mismatch),
        _coverage(challenger, settings),
        _latency(challenger, settings),
        _size(challenger, settings),
        _receipt(challenger),
        *([_origin(mismatch)] if mismatch else []),
    )
    refused = [rule for rule in rules if not rule.passed]
    if refused:
        names = " and ".join(rule.rule for rule in refused)
        summary = f"refused by {names}: {refused[0].why}"
    else:
        (compared,) = (rule.why for rule in rules if rule.rule == "champion")
        summary = f"passed with an RMSE of {_amount(_rmse(challenger), challenger)}: {compared}"
    return Verdict(passed=not refused, rules=rules, summary=summary)


def _absolute(challenger: GateEvidence, settings: GateSettings) -> Iterator[RuleResult]:
    """Yield a rule for each error that is limited: by the settings, else by the dataset."""
    floors = dict(challenger.floors)
    if settings.max_rmse is not None:
        floors["rmse"] = settings.max_rmse
    for name, limit in floors.items():
        value = getattr(challenger.evaluation.metrics, name)
        rule = "absolute quality" if name == "rmse" else f"absolute quality, {name.upper()}"
        why = f"{name.upper()} is {_amount(value, challenger)}"
        yield _at_most(rule, value, limit, challenger.unit, why)


def _baseline(
    challenger: GateEvidence, baseline_rmse: float | None, settings: GateSettings
) -> RuleResult:
    limit = settings.min_baseline_gain
    if baseline_rmse is None:
        return RuleResult(
            rule="baseline",
            value=None,
            sense=">=",
            limit=limit,
            unit="%",
            passed=False,
            why="no baseline was trained on this data, so nothing shows that learning helps",
        )
    gain = 1 - _rmse(challenger) / baseline_rmse if baseline_rmse > 0 else 0.0
    return RuleResult(
        rule="baseline",
        value=gain,
        sense=">=",
        limit=limit,
        unit="%",
        passed=gain >= limit,
        why=f"{_better(gain)} than the best baseline ({_amount(baseline_rmse, challenger)})",
    )


def _champion(
    challenger: GateEvidence,
    champion: GateEvidence | None,
    settings: GateSettings,
    mismatch: Replacement | None,
) -> RuleResult:
    limit = settings.min_champion_gain
    if champion is None or mismatch:
        return _excused("champion", ">", limit, mismatch)
    gain = _gain(challenger, champion, settings)
    if np.array_equal(challenger.errors, champion.errors):
        why = "makes the same predictions as the champion, so it is not better"
    else:
        why = f"{_better(gain.estimate)} than the champion ({_range(gain)})"
    return RuleResult(
        rule="champion",
        value=gain.lower,  # what is judged is the bad end of the interval, not the estimate
        sense=">",
        limit=limit,
        unit="%",
        passed=gain.lower > limit,
        why=why,
    )


def _slices(
    challenger: GateEvidence,
    champion: GateEvidence | None,
    settings: GateSettings,
    mismatch: Replacement | None,
) -> RuleResult:
    limit = settings.max_slice_loss
    if champion is None or mismatch:
        return _excused("slices", "<=", limit, mismatch)
    gains = {
        f"{dimension} {name}": _gain(challenger, champion, settings, rows)
        for dimension in challenger.labels
        for name in challenger.labels[dimension].cat.categories
        if (rows := (challenger.labels[dimension] == name).to_numpy()).sum()
        >= settings.min_slice_rows
    }
    # With some thirty slices, a loss beyond the budget by chance is likely in one of them: it
    # counts only where the interval excludes "no loss at all".
    broken = {name: g for name, g in gains.items() if -g.estimate > limit and g.upper < 0}
    worst = min(broken or gains, key=lambda name: gains[name].estimate, default="")
    why = f"no slice has {settings.min_slice_rows} rows"
    if worst:
        gain = gains[worst]
        why = f"the worst, {worst}, is {_better(gain.estimate)} ({_range(gain)})"
        why += f" (and {counted(len(broken) - 1, 'more slice')})" if len(broken) > 1 else ""
        why += "" if broken or -gain.estimate <= limit else ", which may be chance"
    return RuleResult(
        rule="slices",
        value=-gains[worst].estimate if worst else None,
        sense="<=",
        limit=limit,
        unit="%",
        passed=not broken,
        why=why,
    )


def _coverage(challenger: GateEvidence, settings: GateSettings) -> RuleResult:
    interval, limit = challenger.evaluation.interval, settings.min_interval_coverage
    return RuleResult(
        rule="interval coverage",
        value=interval.coverage if interval else None,
        sense=">=",
        limit=limit,
        unit="%",
        passed=interval is not None and interval.coverage >= limit,
        why=(
            f"{interval.coverage:.1%} of answers lie within the prediction interval, which is "
            f"{_amount(interval.mean_width, challenger)} wide on average"
            if interval
            else "the model gives no prediction interval"
        ),
    )


def _latency(challenger: GateEvidence, settings: GateSettings) -> RuleResult:
    value, limit = challenger.evaluation.latency_ms, settings.max_latency_ms
    return _at_most("latency", value, limit, "ms", f"one prediction takes {value:.1f} ms")


def _size(challenger: GateEvidence, settings: GateSettings) -> RuleResult:
    value, limit = challenger.evaluation.size_mb, settings.max_size_mb
    return _at_most("size", value, limit, "MB", f"the artifact takes {value:.1f} MB")


def _receipt(challenger: GateEvidence) -> RuleResult:
    gaps = challenger.receipt_gaps
    why = f"misses {', '.join(gaps)}" if gaps else "names data, code, lock file and seed"
    return _at_most("receipt", float(len(gaps)), 0, "", f"the receipt {why}")


def _origin(mismatch: Replacement) -> RuleResult:
    return _at_most("origin", float(not mismatch.allowed), 0, "", mismatch.why)


def _at_most(rule: str, value: float, limit: float, unit: str, why: str) -> RuleResult:
    passed = value <= limit
    return RuleResult(
        rule=rule, value=value, sense="<=", limit=limit, unit=unit, passed=passed, why=why
    )


def _excused(rule: str, sense: Sense, limit: float, mismatch: Replacement | None) -> RuleResult:
    why = "there is no champion yet to compare with"
    if mismatch:
        why = "the champion learned from other rows: there is nothing to compare"
    return RuleResult(
        rule=rule, value=None, sense=sense, limit=limit, unit="%", passed=True, why=why
    )


def _gain(
    challenger: GateEvidence,
    champion: GateEvidence,
    settings: GateSettings,
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] | slice = slice(None),
) -> GainInterval:
    return relative_gain(
        challenger.errors[rows],
        champion.errors[rows],
        settings.confidence,
        settings.bootstrap_samples,
    )


def _rmse(evidence: GateEvidence) -> float:
    return evidence.evaluation.metrics.rmse


def _amount(value: float, evidence: GateEvidence) -> str:
    return f"{value:,.{decimals_for(value)}f} {evidence.unit}".rstrip()


def _better(gain: float) -> str:
    return f"{abs(gain):.1%} {'better' if gain >= 0 else 'worse'}"


def _range(gain: GainInterval) -> str:
    return f"{gain.lower:+.1%} to {gain.upper:+.1%}"
