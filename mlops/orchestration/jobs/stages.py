"""The pipelines of the main job, in order: known without loading what carries them out."""

from __future__ import annotations

from mlops.settings import Settings

# Stages run one after the other; the pipelines of one stage share the workers, the first served
# first: at the end come the quick families of scikit-learn, which fill both workers evenly.
STAGES: tuple[tuple[str, ...], ...] = (
    ("data_preparation",),
    ("route_statistics",),
    ("xgboost_training", "sklearn_training"),
    ("model_selection",),
    ("batch_inference",),
)


def wanted(stage: tuple[str, ...], settings: Settings) -> list[str]:
    """Leave out XGBoost where it has no objective; the other training has the baselines."""
    return [n for n in stage if n != "xgboost_training" or settings.training.objectives]
