"""Only `mlops.datasets` knows what rows are about: elsewhere no text or name speaks of taxi trips.

A module that names one problem serves no other, or tells its users about somebody else's. The
modules that still do are listed: those through which trips are asked for and answered, and those
that keep a name under which something is stored or called. The list may only become shorter.
"""

import re
from pathlib import Path

MLOPS = Path(__file__).parents[1] / "mlops"
# A single zone is usually a time zone; of several, only time zones are left out.
_WORDS = re.compile(
    r"\b(?:pickups?|dropoffs?|boroughs?|taxis?|trips?|passengers?|fares?)\b"
    r"|\b(?:pickup|dropoff|trip)_|(?<!time )\bzones\b|_zones\b|\b(?:fare|taxi) zone\b",
    re.IGNORECASE,
)
_NAMING = {
    "backtest/results.py",
    "backtest/summary.py",
    "cli/explicit_data.py",
    "cli/monitoring.py",
    "cli/predict.py",
    "cli/run.py",
    "data/origins.py",
    "data/references.py",
    "data/store/snapshots.py",
    "fingerprints.py",
    "inference/batch.py",
    "inference/records.py",
    "inference/requests.py",
    "inference/trip.py",
    "monitoring/findings/alerting.py",
    "monitoring/findings/measurements.py",
    "monitoring/findings/records.py",
    "monitoring/measures/measuring.py",
    "monitoring/measures/serving_health.py",
    "monitoring/windows/collecting.py",
    "monitoring/windows/serving_snapshots.py",
    "monitoring/windows/staging.py",
    "monitoring/windows/unserved.py",
    "observability/monitoring_metrics.py",
    "orchestration/triggers/admission.py",
    "orchestration/triggers/declared.py",
    "registry/descriptions.py",
    "registry/flavor.py",
    "registry/receipts.py",
    "registry/remembered.py",
    "reports/monitoring_window.py",
    "serving/answers/answering.py",
    "serving/answers/explaining.py",
    "serving/answers/limits.py",
    "serving/answers/plain_lists.py",
    "serving/answers/requests.py",
    "serving/forms/form.py",
    "serving/forms/trip_replies.py",
    "serving/forms/trips.py",
    "serving/forms/zones.py",
    "serving/log/rows.py",
    "serving/model/encoders.py",
    "serving/model/one_trip.py",
    "serving/model/served_trips.py",
    "settings.py",
    "steps/batch_inference.py",
    "steps/playground.py",
    "steps/retraining.py",
    "training/stored_classes.py",
}


def test_only_the_modules_listed_name_a_problem() -> None:
    naming = {
        path.relative_to(MLOPS).as_posix()
        for path in MLOPS.rglob("*.py")
        if not path.is_relative_to(MLOPS / "datasets") and _WORDS.search(path.read_text("utf-8"))
    }

    assert not naming - _NAMING, "write of rows, predictions and events, which every dataset has"
    assert not _NAMING - naming, "these name no problem any more: remove them from the list"
