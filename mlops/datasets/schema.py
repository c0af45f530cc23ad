"""The form of a definition, read off its types: which keys are accepted, and what they mean."""

from __future__ import annotations

import types
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mlops.datasets.definition import DatasetDefinition, TimeSpan
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


_HEAD: Final = """\
# Datasets

Each folder here describes one prediction problem in a file `dataset.yaml`. To write a first
version of it from a table, run `mlops dataset init FILES --target COLUMN`.
`mlops dataset check NAME` says what is wrong with a definition and its table,
`mlops dataset show NAME` prints the resolved form, and `mlops dataset list` lists all definitions.

This page is generated from the types: `mlops dataset schema > datasets/README.md`.

## The file

The file is YAML in UTF-8. Anchors, aliases, tags and merge keys are not accepted, and `no`, `on`,
`1:30` and `2024-01-31` are texts. A length of time is written as `30min`, `12h`, `7d`, `2w` or
`1 month`. Where a list of columns is accepted, a single column may stand alone.
"""


def reference() -> str:
    """Return the reference of a definition in Markdown: every key with its type and meaning."""
    lines = [_HEAD, *_table(DatasetDefinition)]
    for name, field in DatasetDefinition.model_fields.items():
        model = _model_in(field.annotation)
        if model is None:
            continue
        several = get_origin(field.annotation)
        lines += ["", f"## `{name}`", "", f"{(model.__doc__ or '').strip()}", ""]
        if several is dict:
            lines += [f"`{name}` maps names to entries with these keys.", ""]
        elif several is tuple:
            lines += [f"`{name}` is a list of entries with these keys.", ""]
        short = _SHORT.get(model.__name__)
        lines += [short, ""] if short else []
        lines += _table(model)
    return "\n".join(lines) + "\n"


_SHORT: Final = {
    "FeatureDeclaration": "`carrier: category` is short for `carrier: {type: category}`.",
    "SliceDeclaration": "`carrier: carrier` is short for `carrier: {column: carrier}`.",
}


def _table(model: type[BaseModel]) -> list[str]:
    lines = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else _default(field.get_default(call_default_factory=True))
        )
        meaning = field.description or _meaning(field.annotation)
        lines.append(f"| `{name}` | {_kind(field.annotation)} | {default} | {meaning} |")
    return lines


def _default(value: Any) -> str:
    if value is PydanticUndefined or value is None or value == "" or value == () or value == {}:
        return "none"
    if isinstance(value, BaseModel):
        return "the defaults below"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple) and not isinstance(value, TimeSpan):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _kind(annotation: Any) -> str:
    """Return the type of a value in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in inside)
    if origin in (Union, types.UnionType):
        words = [_kind(each) for each in inside if each is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin is tuple:
        return f"list of {_kind(inside[0])}" if inside[-1] is Ellipsis else "[smallest, largest]"
    if origin is dict:
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        return _kind(inside[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    if annotation is Any:
        return "share or length of time"
    names = {
        str: "text",
        bool: "`true`, `false`",
        float: "number",
        int: "number",
        TimeSpan: "length of time",
    }
    return names.get(annotation, str(annotation))


def _meaning(annotation: Any) -> str:
    model = _model_in(annotation)
    return (model.__doc__ or "").strip().splitlines()[0] if model else ""
