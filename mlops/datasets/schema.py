"""The form of a definition, read off its types: which keys are accepted, and what they mean."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel

from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.text import KeyPath


def keys_at(path: KeyPath) -> list[str]:
    """Return the keys that are accepted at a path; none if they are names of the user's own."""
    annotation: Any = DatasetDefinition
    for step in path:
        model = _model_in(annotation)
        if get_origin(annotation) in (dict, tuple) or model is None:
            annotation = model
        else:
            field = model.model_fields.get(str(step))
            annotation = field.annotation if field else None
    if get_origin(annotation) in (dict, tuple):
        return [*get_args(get_args(annotation)[0])]  # of Literal; other types have no arguments
    found = _model_in(annotation)
    return [*found.model_fields] if found else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation consists of, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = [_model_in(each) for each in get_args(annotation)]
    return next((each for each in inside if each is not None), None)
