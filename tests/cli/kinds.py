"""The table of files under a home: of each kind, who reads it and what comes of damage.

A file that is in none of these tables is a kind that nobody has thought about: `unknown` names it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TRIP = json.dumps({"pickup_at": "2024-02-10T08:30:00", "pickup_zone": 74, "dropoff_zone": 166})
DOCTOR = ("doctor", "--json")
ONE_WINDOW = ("monitor", "v3-served-20240308T0000")  # that has the last name


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it lies, who reads it, and what comes of it.

    Attributes:
        pattern: Under the home; the last match, by name, is damaged.
        command: Of those that read it, the one that people use most.
        code: With which that ends if the file is damaged.
    """

    pattern: str
    command: tuple[str, ...]
    code: int

    def __str__(self) -> str:
        return self.pattern.replace("/", "-").replace("*", "x")


# Named by the command that meets it.
KINDS = (
    # Refused by name: to go on would be to take something else for it.
    Kind("runs/main_job.json", ("run", "--resume"), 14),
    Kind("runs/pending_approval.json", ("approve", "--show"), 14),
    Kind("runs/last_verdict.json", ("models", "--verdict"), 14),
    Kind("deployments/2*.json", ("deployments", "20240309T120000-v1"), 14),
    Kind("store/training_sets/current", ("status",), 14),
    Kind("store/training_sets/*/manifest.json", ("status",), 14),
    Kind("serving/keys.json", ("keys", "list"), 14),
    Kind("mage/mage.db", ("status",), 14),
    Kind("mage/mage.db", ("triggers",), 14),
    Kind("mlflow/mlflow.db", ("models",), 14),
    Kind("registry/artifacts/*.json", ("predict", TRIP), 14),
    Kind("registry/model-*/champions/*.json", ("predict", TRIP), 14),
    Kind("registry/model-*/champions/*.json", ("models",), 14),
    Kind("mlflow/artifacts/models/*/artifacts/data/trip_duration_model", ("predict", TRIP), 15),
    # Left out with a warning: the others can be shown all the same.
    Kind("deployments/2*.json", ("deployments",), 0),
    Kind("monitoring/windows/*.json", ("monitor", "--list"), 0),
    Kind("monitoring/decisions/*.json", ("monitor", "--list"), 0),
    Kind("mlflow/artifacts/*/artifacts/registration.json", ("models", "1"), 0),
    Kind("registry/model-*/champions/*.json", ("status",), 0),
    # Named by the doctor; made again, or read off something else, by whoever needs it.
    Kind("deployments/claim.json", DOCTOR, 1),
    Kind("runs/last_verdict.json", DOCTOR, 1),
    Kind("store/training_sets/request.json", DOCTOR, 1),
    Kind("store/training_sets/*/part-*.parquet", DOCTOR, 1),
    Kind("store/training_sets/*/quarantine/*.parquet", DOCTOR, 1),
    Kind("registry/model-*/rollout.json", DOCTOR, 1),
    Kind("runs/selections/*.json", DOCTOR, 1),
    Kind("runs/retraining/*.json", DOCTOR, 1),
    Kind("backtests/*/backtest.json", DOCTOR, 1),
    Kind("backtests/current", DOCTOR, 1),
    Kind("monitoring/profiles/*.json", DOCTOR, 1),
    Kind("monitoring/serving/*.json", DOCTOR, 1),
    Kind("notifications/*.json", DOCTOR, 1),
    Kind("serving/state.json", DOCTOR, 1),
    Kind("serving/bundles/*/bundle.json", DOCTOR, 1),
    Kind("serving/bundles/*/*.npz", DOCTOR, 1),
    Kind("serving/bundles/*/*.ubj", DOCTOR, 1),
    Kind("prediction_log/*/*.parquet", DOCTOR, 1),
    Kind("predictions/*/*/*.parquet", DOCTOR, 1),
    Kind("observability/*.parquet", DOCTOR, 1),
)

Work = Literal["prepare", "routes", "score", "probe", "sign_in", "notify"]
# Whoever needs it makes it again at once, and comes to the same result.
MADE_AGAIN: tuple[tuple[str, Work], ...] = (
    ("cache/sample/*/*/*.parquet", "prepare"),
    ("cache/sample/*/*/*.parquet.json", "prepare"),
    ("staging/validated-*/clean/*.parquet", "prepare"),
    ("staging/validated-*/quarantine/*.parquet", "prepare"),
    ("staging/validated-*/counts/*.json", "prepare"),
    ("staging/features-*/features/*.parquet", "prepare"),
    ("store/training_sets/*/part-*.parquet", "prepare"),
    ("store/training_sets/*/quarantine/*.parquet", "prepare"),
    ("store/training_sets/*/manifest.json", "prepare"),
    ("store/training_sets/current", "prepare"),
    ("store/training_sets/request.json", "prepare"),
    ("store/route_statistics/*/*.npz", "routes"),
    ("store/route_statistics/current", "routes"),
    ("predictions/*/*/summary.json", "score"),
    ("predictions/*/*/predictions.parquet", "score"),
    ("predictions/*/*/rejected.parquet", "score"),
    ("serving/deployment.token", "probe"),
    ("server/jwt_secret", "sign_in"),
    ("server/api_tokens/*", "sign_in"),
    ("notifications/*.json", "notify"),
)

# Files that other tests damage: they pass between the blocks of one run, or only Mage reads them.
ELSEWHERE = {
    "staging/monitoring/*.parquet": "monitoring/windows/test_staging.py",
    "staging/selection/*/*.model": "steps/test_candidates.py",
    "backtests/cache/*/*": "backtest/test_store.py",
    "mage/*/pipelines/*/.variables/**/*": "pipelines/test_main_job.py",
    "mage/block_statuses/*.json": "orchestration/engine/test_definitions.py",
    "mlflow/artifacts/*/artifacts/receipt.json": "registry/test_tracking.py",
    "mlflow/artifacts/*/artifacts/insight.json": "registry/test_tracking.py",
    "mlflow/artifacts/*/artifacts/reference_profile.json": "registry/test_profiles.py",
}

# Nobody reads them back, or whoever does lives with whatever they hold.
FOR_PEOPLE = (
    *("logs/**/*", "mage/*/pipelines/*/.logs/**/*", "reports/*.html"),
    "mlflow/artifacts/*/artifacts/reports/*.html",
    *("backtests/*/*.parquet", "backtests/*/chart.*"),
    # A backtest, as it is recorded in MLflow.
    *(f"mlflow/artifacts/*/artifacts/{name}" for name in ("*.parquet", "chart.*", "backtest.json")),
    # MLflow's own description of a model, for its own tools.
    *(f"mlflow/artifacts/models/*/artifacts/{name}" for name in ("MLmodel", "*.yaml")),
    *(f"mlflow/artifacts/models/*/artifacts/{name}" for name in ("*.txt", "*input_example.json")),
)
NO_CONTENT = (
    *("**/*.lock", "**/.*.lock"),  # who holds a lock, the operating system knows
    *("**/*.db-wal", "**/*.db-shm"),  # of SQLite, which skips what is no whole transaction
    *("mage/*/.cache/*", "server/ssh_tunnel.json", "server/owner-created"),  # Mage's
    "server/triggers.json",  # without it, what was removed from the files stays as it is, and said
)


def unknown(home: Path) -> list[str]:
    """Return the files of a home that are in no table, by their places under it."""
    patterns = (
        *(kind.pattern for kind in KINDS),
        *(pattern for pattern, _ in MADE_AGAIN),
        *(*ELSEWHERE, *FOR_PEOPLE, *NO_CONTENT),
    )
    known = {file for pattern in patterns for file in home.glob(pattern)}
    found = {file for file in home.rglob("*") if file.is_file()}
    return sorted(str(file.relative_to(home)) for file in found - known)
