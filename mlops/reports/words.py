"""What names in the code mean to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlops.datasets.wording import DatasetWords
from mlops.monitoring.findings.report import Finding
from mlops.reports.facts import WindowFacts

_FAMILIES: Final[Mapping[str, str]] = {
    "global_mean": "the mean {answer} of all {rows} that it was trained on",
    "group_median": "the median {answer} of the {rows} of the same {group} that it was trained on",
    "linear_regression": "a linear regression",
    "lasso": "a linear regression with an L1 penalty (lasso)",
    "linear_svr": "a linear support vector machine",
    "random_forest": "a random forest (many decision trees, averaged)",
    "extra_trees": "extremely randomised trees (many decision trees, averaged)",
    "hist_gradient_boosting": "gradient-boosted decision trees (scikit-learn)",
    "squared_error": "gradient-boosted decision trees (XGBoost), fitted to the squared error",
    "absolute_error": "gradient-boosted decision trees (XGBoost), fitted to the absolute error",
    "trend_and_trees": "a linear trend with gradient-boosted decision trees (XGBoost) on top of it",
    "quantiles": "gradient-boosted decision trees (XGBoost), fitted to the median",
}

MEASURES: Final[Mapping[str, str]] = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "bias": "mean of predicted minus actual",
    "coverage": "share of answers within the prediction interval",
    "psi": "population stability index",
    "js": "Jensen–Shannon divergence",
    "ks": "Kolmogorov–Smirnov distance",
    "wasserstein": "Wasserstein distance",
}

MONITORED: Final[Mapping[str, str]] = {
    "quality": "Data quality",
    "drift": "Drift of inputs and predictions",
    "labels": "Drift of actual answers",
    "performance": "Performance on delayed labels",
    "skew": "Skew between training and serving",
    "stability": "Numerical stability",
    "staleness": "Age of the model",
    "serving": "Serving",
}

_SHORT: Final[Mapping[str, str]] = {
    **{"mae": "mean absolute error", "rmse": "RMSE", "coverage": "share within the interval"},
    **{"psi": "PSI", "js": "JS", "ks": "KS", "wasserstein": "Wasserstein distance"},
}


def family(name: str, words: DatasetWords) -> str:
    """Return a model family in words."""
    described = _FAMILIES.get(name, name)
    return described.format(answer=words.answer, rows=words.rows, group=words.group)


def finding(found: Finding, facts: WindowFacts) -> str:
    """Return a finding as a sentence without its full stop, numbers as everywhere in reports."""
    measure = _SHORT.get(found.statistic, found.statistic)
    written = facts.amounts.error if found.kind == "performance" else facts.amounts.in_unit
    value, limit = written(found.value, found.unit), written(found.limit, found.unit)
    if found.kind in ("drift", "labels"):
        meaning = facts.watched.get(found.subject, found.subject)
        changed = f"{meaning} ({found.subject}) has an unusual distribution"
        return f"{changed}: {measure} {value}, limit {limit}"
    if found.kind == "performance":
        usual = written(found.reference, found.unit)
        return f"{found.subject}: {measure} is {value}, expected is {usual}, limit {limit}"
    return found.why
