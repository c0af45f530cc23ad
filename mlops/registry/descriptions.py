"""What MLflow's pages say: of the experiment, the registered model, and each candidate.

Tags that start with ``mlflow.`` fill the pages' own fields and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlops.registry.receipts import Receipt

NOTE: Final = "mlflow.note.content"
EXPERIMENT: Final = (
    "How long does a New York taxi trip take, asked at pickup? One run per candidate: its model "
    "family is searched on the train window and compared by RMSE (minutes) on the validation "
    "window; its trials are nested below it. Runs named “… refit” were refitted on both windows "
    "and measured on the untouched test window; the registered versions come from them.\n\n"
    "Group by the tag `mlops.job` to see the candidates of one training, or by `mlops.data_hash` "
    "to see all candidates of one training set; only those are comparable."
)
MODEL: Final = (
    "Predicts how many minutes a taxi trip takes, with an 80 % prediction interval. The alias "
    "`champion` answers requests, `challenger` passed the gate last, and `previous_champion` is "
    "what `mlops rollback` restores. `mlops models VERSION` shows all about a version."
)
EXPERIMENT_TAGS: Final = {NOTE: EXPERIMENT, "mlflow.experimentKind": "custom_model_development"}


def tags_of_run(receipt: Receipt, rmse: float | None, stage: str) -> dict[str, str]:
    """Return what the pages show of a candidate.

    Args:
        receipt: Where it comes from.
        rmse: In minutes, on validation or, for a refit, on test.
        stage: ``search``, or ``refit`` for the registry.

    Returns:
        Its description, source, code version, and the job by which candidates are grouped.
    """
    window = "test" if stage == "refit" else "validation"
    months = ", ".join(
        f"{name} {part.start:%Y-%m-%d} to {part.end:%Y-%m-%d}"
        for name, part in receipt.windows.items()
    )
    measured = "" if rmse is None else f", RMSE {rmse:.3f} minutes on the {window} window"
    kind = "synthetic trips" if receipt.synthetic else f"trips of {receipt.taxi} taxis"
    job = f"{receipt.pipeline or 'outside Mage'} run {receipt.pipeline_run_id or '–'}"
    return {
        NOTE: f"`{receipt.family}`{measured}. Learned from {kind}: {months}. "
        f"Training set `{receipt.data_hash[:12]}`.",
        "mlflow.source.name": receipt.pipeline or "mlops",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": receipt.code_commit,
        "mlops.job": job,
        "mlops.taxi": receipt.taxi,
    }
