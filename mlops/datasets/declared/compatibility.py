"""Whether a model answers the requests of a definition, which may have been edited since."""

from __future__ import annotations

from mlops.datasets.definition import DatasetDefinition
from mlops.errors import MlopsError


def require_same_requests(
    definition: DatasetDefinition, trained: DatasetDefinition | None, version: int | str
) -> None:
    """Make sure that what a definition calls a request says what a model needs.

    Args:
        definition: As it is now.
        trained: The one that the model was trained with; None if it is of no declared dataset.
        version: Of the model.

    Raises:
        MlopsError: If the model is of another dataset, or the definition has changed since.
    """
    if trained is None:
        raise MlopsError(
            f"version {version} does not predict {definition.name}",
            "name the dataset of the model: --dataset NAME",
        )
    columns = definition.request_columns
    others = [
        column
        for column, each in trained.request_columns.items()
        if column not in columns
        or (columns[column].type, columns[column].unit) != (each.type, each.unit)
    ]
    said, meant = (
        (each.task.target, each.task.unit, each.time and each.time.zone)
        for each in (definition, trained)
    )
    if said != meant:
        others.append("the target or the time zone")
    if others:
        raise MlopsError(
            f"version {version} was trained with another definition of {definition.name}, which"
            f" differs in {', '.join(others)}",
            "undo the change of the definition, or train and promote a version with it",
        )
