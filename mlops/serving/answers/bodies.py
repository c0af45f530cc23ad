"""Bytes to JSON of which each field is given at most once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json

from mlops.serving.answers.errors import FieldsError, Problem, RequestError

_SHOWN: Final = 100  # characters of a caller's own text in a message


def content_of(body: bytes) -> Any:
    """Return what a body says.

    Raises:
        RequestError: 422 if it is no JSON.
    """
    try:
        return from_json(body, cache_strings="none")  # measured: a cache costs more
    except ValueError as error:
        raise RequestError(422, "body", f"is not JSON: {error}") from error


def require_unique(body: bytes, marks: int, kept: int, rows: str) -> None:
    """Refuse a body that gives a field twice, of which the parser has kept the last.

    Each name and each text stands between two quotation marks, so a field that the parser dropped
    shows as two marks too many. Only then, or if a backslash may hide a mark, the body is read
    again.

    Args:
        body: Valid JSON.
        marks: Number of quotation marks in it.
        kept: Number of names and of texts that the parser kept, of all objects.
        rows: Name of the field that holds a list of objects.

    Raises:
        FieldsError: Naming the fields.
    """
    if marks == 2 * kept and b"\\" not in body:
        return
    # An object becomes a tuple of its fields, a list stays a list.
    content = json.loads(body, object_pairs_hook=tuple)
    repeated = [*_repeated(content)]
    for objects in (value for name, value in content if name == rows and isinstance(value, list)):
        for position, each in enumerate(objects):
            repeated += [f"{rows}.{position}.{name}" for name in _repeated(each)]
    if repeated:
        raise FieldsError([Problem(shown(name), "is given more than once") for name in repeated])


def shown(text: str) -> str:
    """Return a caller's own text, cut for a message."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _repeated(fields: Sequence[tuple[str, Any]]) -> list[str]:
    counts = Counter(name for name, _ in fields)
    return [name for name, count in counts.items() if count > 1]
