"""What MLflow's pages say: of the experiment, the registered model, and each candidate.

Tags that start with ``mlflow.`` fill the pages' own fields and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlops.settings import DEFAULT_DATASET, Settings

if TYPE_CHECKING:
    from mlops.registry.receipts import Receipt

NOTE: Final = "mlflow.note.content"


class Subject(NamedTuple):
    """What a dataset is about, in words."""

    question: str
    answer: str  # beginning of a sentence: what a model predicts
    unit: str  # of the target; may be empty


_KIND: Final = {"mlflow.experimentKind": "custom_model_development"}
_TAXI: Final = Subject(
    "How long does a New York taxi trip take, asked at pickup?",
    "Predicts how many minutes a taxi trip takes",
    "minutes",
)


def _subject(settings: Settings) -> Subject:
    if settings.dataset == DEFAULT_DATASET:
        return _TAXI
    from mlops.datasets.catalogue import definition_file
    from mlops.datasets.loading import load_definition

    definition = load_definition(definition_file(settings.dataset))
    title, task = definition.title.strip(), definition.task
    question = title if title[-1] in ".?!" else f"{title}."
    return Subject(question, f"{question} Predicts {task.target}", task.unit)


def unit_of(settings: Settings) -> str:
    """Return the unit of the target of a dataset; empty if it has none.

    Raises:
        ConfigurationError: If the dataset has no definition, or one with mistakes.
    """
    return _subject(settings).unit


def experiment_tags(settings: Settings) -> dict[str, str]:
    """Return what MLflow's page says of the experiment of a dataset.

    Raises:
        ConfigurationError: If the dataset has no definition, or one with mistakes.
    """
    subject = _subject(settings)
    rmse = f"RMSE ({subject.unit})" if subject.unit else "RMSE"
    note = (
        f"{subject.question} One run per candidate: its model "
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
    return (
        f"{_subject(settings).answer}, with an 80 % prediction interval. The alias "
        "`champion` answers requests, `challenger` passed the gate last, and `previous_champion` "
        "is what `mlops rollback` restores. `mlops models VERSION` shows all about a version."
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
    error = f"RMSE {rmse:.3f} {_subject(settings).unit}".rstrip() if rmse is not None else ""
    measured = f", {error} on the {window} window" if error else ""
    real = f"trips of {receipt.taxi} taxis" if receipt.taxi else f"rows of {receipt.dataset}"
    kind = "synthetic trips" if receipt.synthetic else real
    job = f"{receipt.pipeline or 'outside Mage'} run {receipt.pipeline_run_id or '–'}"
    return {
        NOTE: f"`{receipt.family}`{measured}. Learned from {kind}: {months}. "
        f"Training set `{receipt.data_hash[:12]}`.",
        "mlflow.source.name": receipt.pipeline or "mlops",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": receipt.code_commit,
        "mlops.job": job,
        **({"mlops.taxi": receipt.taxi} if receipt.taxi else {"mlops.dataset": receipt.dataset}),
    }
