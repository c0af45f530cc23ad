"""What MLflow's pages say: of the experiment, the registered model, and each candidate.

Tags that start with ``mlflow.`` fill the pages' own fields and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops.datasets.opening import dataset_of
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.receipts import Receipt

NOTE: Final = "mlflow.note.content"


_KIND: Final = {"mlflow.experimentKind": "custom_model_development"}


def experiment_tags(settings: Settings) -> dict[str, str]:
    """Return what MLflow's page says of the experiment of a dataset.

    Raises:
        ConfigurationError: If the dataset has no definition, or one with mistakes.
    """
    words = dataset_of(settings).words
    rmse = f"RMSE ({words.unit})" if words.unit else "RMSE"
    note = (
        f"{words.question} One run per candidate: its model "
        f"family is searched on the train window and compared by {rmse} on the validation "
        "window; its trials are nested below it. Runs named “… refit” were refitted on both "
        "windows and measured on the untouched test window; the registered versions come from "
        "them.\n\n"
        "Group by the tag `mlops.job` to see the candidates of one training, or by "
        "`mlops.data_hash` to see all candidates of one training set; only those are comparable."
    )
    return {NOTE: note, **_KIND}


def model_description(settings: Settings) -> str:
    """Return what MLflow's page says of the registered model of a dataset.

    Raises:
        ConfigurationError: If the dataset has no definition, or one with mistakes.
    """
    words = dataset_of(settings).words
    return (
        f"{words.question} Predicts {words.prediction}, with an 80 % prediction interval. The"
        " alias `champion` answers requests, `challenger` passed the gate last, and"
        " `previous_champion` is what `mlops rollback` restores."
        " `mlops models VERSION` shows all about a version."
    )


def tags_of_run(
    settings: Settings, receipt: Receipt, rmse: float | None, stage: str
) -> dict[str, str]:
    """Return what the pages show of a candidate.

    Args:
        settings: Say which dataset it is about.
        receipt: Where it comes from.
        rmse: In the unit of the target, on validation or, for a refit, on test.
        stage: ``search``, or ``refit`` for the registry.

    Returns:
        Its description, source, code version, and the job by which candidates are grouped.
    """
    window = "test" if stage == "refit" else "validation"
    months = ", ".join(f"{name} {part}" for name, part in receipt.windows.items())
    error = (
        f"RMSE {rmse:.3f} {dataset_of(settings).words.unit}".rstrip() if rmse is not None else ""
    )
    measured = f", {error} on the {window} window" if error else ""
    job = f"{receipt.pipeline or 'outside Mage'} run {receipt.pipeline_run_id or '–'}"
    return {
        NOTE: f"`{receipt.family}`{measured}. Learned from {receipt.origin}: {months}. "
        f"Training set `{receipt.data_hash[:12]}`.",
        "mlflow.source.name": receipt.pipeline or "mlops",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": receipt.code_commit,
        "mlops.job": job,
        **({"mlops.taxi": receipt.taxi} if receipt.taxi else {"mlops.dataset": receipt.dataset}),
    }
