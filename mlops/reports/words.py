"""What names in the code mean to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlops.monitoring.findings.report import Finding
from mlops.monitoring.reference.observations import FEATURES as WATCHED
from mlops.reports.numbers import in_unit

FAMILIES: Final[Mapping[str, str]] = {
    "global_mean": "the mean duration of all past trips",
    "group_median": "the median duration of past trips of the same route",
    "linear_regression": "a linear regression",
    "lasso": "a linear regression with an L1 penalty (lasso)",
    "linear_svr": "a linear support vector machine",
    "random_forest": "a random forest (many decision trees, averaged)",
    "extra_trees": "extremely randomised trees (many decision trees, averaged)",
    "hist_gradient_boosting": "gradient-boosted decision trees (scikit-learn)",
    "squared_error": "gradient-boosted decision trees (XGBoost), fitted to the squared error",
    "absolute_error": "gradient-boosted decision trees (XGBoost), fitted to the absolute error",
    "quantiles": "gradient-boosted decision trees (XGBoost), fitted to the median",
}

FEATURES: Final[Mapping[str, str]] = {
    "route_trips": "number of earlier trips on the route",
    "route_minutes": "usual minutes of the route",
    "route_pace": "usual minutes per mile of the route",
    "route_miles": "usual miles of the route",
    "pickup_trips": "number of trips that begin in the pickup zone",
    "dropoff_trips": "number of trips that end in the drop-off zone",
    "pickup_pace": "usual minutes per mile from the pickup zone",
    "dropoff_pace": "usual minutes per mile to the drop-off zone",
    "pickup_x": "position of the pickup on the map (x)",
    "pickup_y": "position of the pickup on the map (y)",
    "pickup_z": "position of the pickup on the map (z)",
    "dropoff_x": "position of the drop-off on the map (x)",
    "dropoff_y": "position of the drop-off on the map (y)",
    "dropoff_z": "position of the drop-off on the map (z)",
    "straight_miles": "miles in a straight line",
    "bearing": "direction of the trip",
    "pickup_hour_pace": "minutes per mile from the pickup zone at this hour",
    "dropoff_hour_pace": "minutes per mile to the drop-off zone at this hour",
    "pickup_zone": "pickup zone",
    "dropoff_zone": "drop-off zone",
    "minute_of_day": "time of day",
    "weekday": "day of the week",
    "holiday": "public holiday",
    "passengers": "number of passengers",
    "rate_code": "tariff of the trip",
    "trip_type": "street hail or dispatch",
    "codes_missing": "whether passengers and tariff are missing",
    "miles": "distance in the request",
    "likely_miles": "distance in the request, or else the route's usual one",
    "miles_over_route": "distance relative to the route's usual one",
    "miles_over_straight": "distance relative to the straight line",
    "minutes_at_route_pace": "minutes at the route's usual pace",
    "minutes_at_pickup_pace": "minutes at the pickup zone's usual pace",
    "minutes_at_dropoff_pace": "minutes at the drop-off zone's usual pace",
}

MEASURES: Final[Mapping[str, str]] = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "bias": "mean of predicted minus actual",
    "coverage": "share of trips within their prediction interval",
    "psi": "population stability index",
    "js": "Jensen–Shannon divergence",
    "ks": "Kolmogorov–Smirnov distance",
    "wasserstein": "Wasserstein distance",
}

MONITORED: Final[Mapping[str, str]] = {
    "quality": "Data quality",
    "drift": "Drift of inputs and predictions",
    "labels": "Drift of actual durations",
    "performance": "Performance on delayed labels",
    "skew": "Skew between training and serving",
    "stability": "Numerical stability",
    "staleness": "Age of the model",
    "serving": "Serving",
}

_DIMENSIONS: Final[Mapping[str, str]] = {"hour": "part of the day"}
_SHORT: Final[Mapping[str, str]] = {
    **{"mae": "mean absolute error", "rmse": "RMSE", "coverage": "share within the interval"},
    **{"psi": "PSI", "js": "JS", "ks": "KS", "wasserstein": "Wasserstein distance"},
}
_WATCHED: Final = {feature.name: feature.meaning for feature in WATCHED}


def family(name: str) -> str:
    """Return a model family in words."""
    return FAMILIES.get(name, name)


def feature(name: str) -> str:
    """Return a feature in words."""
    return FEATURES.get(name, name.replace("_", " "))


def dimension(name: str) -> str:
    """Return what trips are grouped by in words."""
    return _DIMENSIONS.get(name, name)


def watched(name: str) -> str:
    """Return a column that monitoring watches in words."""
    return _WATCHED.get(name, name)


def finding(found: Finding) -> str:
    """Return a finding as a sentence without its full stop, numbers as everywhere in reports."""
    measure = _SHORT.get(found.statistic, found.statistic)
    value, limit = in_unit(found.value, found.unit), in_unit(found.limit, found.unit)
    if found.kind in ("drift", "labels"):
        changed = f"{watched(found.subject)} ({found.subject}) has an unusual distribution"
        return f"{changed}: {measure} {value}, limit {limit}"
    if found.kind == "performance":
        usual = in_unit(found.reference, found.unit)
        return f"{found.subject}: {measure} is {value}, expected is {usual}, limit {limit}"
    return found.why
