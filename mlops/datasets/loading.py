"""Reading ``dataset.yaml``: each mistake with its line and the nearest valid word, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError

from mlops.datasets.consistency import Mistake, mistakes_in
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import ConfigurationError

FILE_NAME: Final = "dataset.yaml"
_Key = tuple[str | int, ...]


class DefinitionError(ConfigurationError):
    """A definition has mistakes; the message lists all of them with their lines."""


def load_definition(path: Path) -> DatasetDefinition:
    """Read a definition.

    Args:
        path: Of the file, or of the folder that holds ``dataset.yaml``.

    Returns:
        The definition; its location is absolute.

    Raises:
        DefinitionError: With a line for each mistake.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(
            f"{path}: the definition cannot be read: {error}",
            "write one with: mlops dataset init FILES --target COLUMN",
        ) from error
    definition = parse_definition(text, str(path))
    return definition.with_source(_absolute(definition.source.location, path.parent))


def parse_definition(text: str, name: str) -> DatasetDefinition:
    """Read a definition from text.

    Args:
        text: YAML.
        name: Of the file, for errors.

    Raises:
        DefinitionError: With a line for each mistake.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        at = (mark.line + 1) if mark else 1
        raise _refusal(name, [(at, f"this is not YAML: {problem}")]) from error
    lines: dict[_Key, int] = {}
    mistakes = [*_collect(node, (), lines)] if node else []
    if not isinstance(content, dict):
        raise _refusal(name, [(1, "the file holds no definition; it starts with name: …")])
    try:
        definition = DatasetDefinition.model_validate(content)
        mistakes += mistakes_in(definition)
    except ValidationError as error:
        mistakes += _of_types(error)
    if mistakes:
        raise _refusal(name, [(_line(m.path, lines), _told(m)) for m in mistakes])
    return definition


def as_yaml(definition: DatasetDefinition) -> str:
    """Return the resolved form: every value, also those that the file leaves to their defaults."""
    content = definition.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _collect(node: Any, path: _Key, lines: dict[_Key, int]) -> Iterable[Mistake]:
    """Note the line of each value; the keys that a mapping repeats are mistakes."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inside = (*path, str(key.value))
            if key.value in seen:
                lines[inside] = key.start_mark.line + 1
                yield Mistake(inside, "the key appears twice; keep one")
            seen.add(key.value)
            lines[inside] = key.start_mark.line + 1
            yield from _collect(value, inside, lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _collect(value, (*path, position), lines)


def _of_types(error: ValidationError) -> Iterable[Mistake]:
    """Return pydantic's errors in the words of the file."""
    for each in error.errors():
        path = each["loc"]
        kind, message = each["type"], each["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            accepted = _fields_at(path[:-1])
            close = difflib.get_close_matches(str(path[-1]), accepted, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(accepted)}"
            message = f"there is no such key; {hint}"
        elif kind == "missing":
            message = "it is missing"
        elif kind == "literal_error":
            accepted = [
                word.strip(" '") for word in each["ctx"]["expected"].replace(" or ", ",").split(",")
            ]
            close = difflib.get_close_matches(str(each["input"]), accepted, 1)
            hint = f"did you mean {close[0]}?" if close else f"write one of: {', '.join(accepted)}"
            message = f"{each['input']!r} is not accepted; {hint}"
        elif kind == "string_pattern_mismatch" and path[-1] == "name":
            message = (
                f"{each['input']!r} is no name; use small letters, digits and _, a letter first"
            )
        else:
            message = message[:1].lower() + message[1:]
        yield Mistake(path, message)


def _fields_at(path: _Key) -> list[str]:
    """Return the keys that are accepted at a path."""
    model: Any = DatasetDefinition
    for step in path:
        inside = model
        if isinstance(model, type) and issubclass(model, BaseModel):
            inside = (
                model.model_fields[str(step)].annotation
                if str(step) in model.model_fields
                else None
            )
        model = _model_in(inside)
        if model is None:
            return []
    return [*model.model_fields]


def _model_in(annotation: Any) -> Any:
    """Return the model that an annotation is made of, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(each) for each in get_args(annotation)]
    return next((each for each in found if each is not None), None)


def _line(path: _Key, lines: Mapping[_Key, int]) -> int:
    """Return the line of a path, or of what it lies in."""
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _told(mistake: Mistake) -> str:
    return f"{'.'.join(map(str, mistake.path))}: {mistake.message}"


def _refusal(name: str, mistakes: list[tuple[int, str]]) -> DefinitionError:
    unique = sorted(dict.fromkeys(mistakes))
    shown = "\n".join(f"  line {line}: {message}" for line, message in unique)
    count = "1 mistake" if len(unique) == 1 else f"{len(unique)} mistakes"
    return DefinitionError(
        f"{name} has {count}:\n{shown}", "correct the lines; mlops dataset check says the rest"
    )


def _absolute(location: str, folder: Path) -> str:
    if "://" in location or Path(location).is_absolute():
        return location
    return str((folder / location).resolve())
