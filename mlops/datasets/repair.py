"""From a definition with mistakes of form to one that can be checked for the others, too.

Each round corrects what the messages suggest, or cuts the wrong part out, until what is left is
well formed. What was cut out is remembered, so that no mistake is reported that follows from it.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlops.datasets.consistency import COLUMNS, mistakes_in
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.schema import keys_at
from mlops.datasets.text import KeyPath, Mistake

_ROUNDS: Final = 50  # each corrects or removes something, so this many are never needed
_ENTRIES: Final = ("features", "context", "histories", "rules", "slices")
_UNKNOWN: Final = "…"  # stands for a text that is missing
_STAND_INS: Final[Mapping[KeyPath, Any]] = {  # for what a definition must have
    ("name",): "unnamed",
    ("title",): _UNKNOWN,
    ("source",): {"location": _UNKNOWN},
    ("source", "location"): _UNKNOWN,
    ("task",): {"target": _UNKNOWN},
    ("task", "target"): _UNKNOWN,
    ("features",): {_UNKNOWN: "number"},
}
_WORDS: Final = {
    "string_type": "a text is needed; write it in quotes if it looks like a number",
    "string_too_short": "a text is needed",
    "bool_type": "write true or false",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "finite_number": "a finite number is needed; null leaves an end open",
    "tuple_type": "a list is needed, such as [a, b]",
    "model_type": "keys with values are needed below it",
    "model_attributes_type": "keys with values are needed below it",
    "dict_type": "keys with values are needed below it",
    "missing": "it is missing",
    "too_short": "at least one value is needed",
    "too_long": "there are too many values",
}


def all_mistakes(content: dict[str, Any]) -> tuple[list[Mistake], DatasetDefinition]:
    """Find every mistake of a definition, of form and of consistency.

    Args:
        content: The values of the file.

    Returns:
        The mistakes, without those that follow from others, and the definition, which is what the
        file says only if there is no mistake.
    """
    content = copy.deepcopy(content)
    mistakes: list[Mistake] = []
    renamed: dict[KeyPath, KeyPath] = {}
    doubtful: set[KeyPath] = set()
    for _ in range(_ROUNDS):
        try:
            definition = DatasetDefinition.model_validate(content)
            break
        except ValidationError as error:
            problems = [*_problems(error, content)]
        for path, message, correction in problems:
            if path not in doubtful:
                mistakes.append(Mistake(_original(path, renamed), message))
            _correct(content, path, correction, renamed, doubtful)
    else:  # pragma: no cover - a round that removes nothing would be a mistake of this module
        raise AssertionError(f"the mistakes cannot be separated: {mistakes}")
    names = _names(doubtful)
    for mistake in mistakes_in(definition):
        follows = names.intersection(mistake.refers) or any(
            mistake.path[: len(path)] == path
            or (path[:2] == mistake.path and path[0] in ("histories", "rules", "slices"))
            for path in doubtful
        )
        if not follows:
            mistakes.append(mistake._replace(path=_original(mistake.path, renamed)))
    return mistakes, definition


def _problems(
    error: ValidationError, content: dict[str, Any]
) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield each problem of form: its path, its message, and the word that corrects it, if any.

    A key that is missing because its name is misspelled is one problem, not two.
    """
    details = error.errors(include_url=False)
    corrected: set[KeyPath] = set()
    for each in details:
        path, kind = each["loc"], each["type"]
        if kind == "extra_forbidden":
            accepted = [name for name in keys_at(path[:-1]) if name not in _at(content, path[:-1])]
            word, hint = _nearest(str(path[-1]), accepted)
            corrected.add((*path[:-1], word))
            yield path, f"there is no such key; {hint}", word
    seen: set[KeyPath] = set()
    for each in details:
        path = _existing(content, each["loc"], missing=each["type"] == "missing")
        if each["type"] == "extra_forbidden" or path in corrected or path in seen:
            continue
        seen.add(path)
        yield (path, *_worded(each, path))


def _worded(each: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    """Return pydantic's error in the words of the file, and the word that corrects it, if any."""
    kind, value = each["type"], each["input"]
    if kind == "literal_error":
        expected = each["ctx"]["expected"].replace(" or ", ", ")
        word, hint = _nearest(str(value), [each.strip(" '") for each in expected.split(",")])
        if each["loc"][-1] == "[key]":
            return f"there is no such key; {hint}", word
        return f"{value!r} is not accepted; {hint}", word
    if kind == "string_pattern_mismatch":
        if path[-1] == "derive":
            return f"{value!r} names no function; write module:function", ""
        return f"{value!r} is no name; use small letters, digits and _, a letter first", ""
    if kind == "greater_than":
        return f"a number above {each['ctx']['gt']:g} is needed", ""
    if kind == "missing" and isinstance(each["loc"][-1], int):
        return "two values are needed; null leaves an end open", ""
    message = each["msg"].removeprefix("Value error, ")
    return _WORDS.get(kind, message[:1].lower() + message[1:]), ""


def _nearest(word: str, accepted: list[str]) -> tuple[str, str]:
    """Return the accepted word that was probably meant, if any, and the hint to give."""
    close = difflib.get_close_matches(word, accepted, 1)
    if close:
        return close[0], f"did you mean {close[0]}?"
    if not accepted:
        return "", "remove it"
    return "", f"write one of: {', '.join(accepted)}"


def _existing(content: Any, path: KeyPath, *, missing: bool) -> KeyPath:
    """Return the part of pydantic's path that the file has; types of unions are no part of it."""
    inside = content
    for length, step in enumerate(path):
        if not _holds(inside, step):
            # A pair with one value is a mistake of the pair.
            return path[: length + (missing and isinstance(step, str))]
        inside = inside[step]
    return path


def _correct(
    content: dict[str, Any],
    path: KeyPath,
    word: str,
    renamed: dict[KeyPath, KeyPath],
    doubtful: set[KeyPath],
) -> None:
    """Apply a correction; without one, cut out the smallest part that can be missing."""
    parent: Any = content
    for step in path[:-1]:
        if not _holds(parent, step):
            return  # it lay in what another correction has removed
        parent = parent[step]
    present = _holds(parent, path[-1])
    if word and present:
        if isinstance(parent, dict) and path[-1] in parent and word in keys_at(path[:-1]):
            inside = (*path[:-1], word)
            renamed[inside] = path
            parent[word] = parent.pop(path[-1])
        else:
            parent[path[-1]] = word
        return
    doubtful.add(path)
    if path in _STAND_INS:
        parent[path[-1]] = copy.deepcopy(_STAND_INS[path])
    elif path[0] == "rules" and path[2:] == ("name",):
        parent["name"] = f"unnamed{path[1]}"
    elif path[0] == "rules" and len(path) == 2:
        parent[path[1]] = {"name": f"unnamed{path[1]}", "column": _UNKNOWN, "given": True}
    elif present and isinstance(parent, dict):
        del parent[path[-1]]
    else:  # a value of a list, or a key that is missing: the whole goes
        _correct(content, path[:-1], "", renamed, doubtful)
    if not content.get("features"):
        content["features"] = copy.deepcopy(_STAND_INS[("features",)])


def _names(doubtful: set[KeyPath]) -> set[str]:
    """Return what mistakes may refer to that is in doubt."""
    names: set[str] = set()
    for path in doubtful:
        names.add(".".join(map(str, path)))
        if path[0] in _ENTRIES and len(path) > 1:
            names.add(str(path[1]))
        if path in {("task",), ("task", "target"), ("features",), ("context",), ("key",)}:
            names |= {COLUMNS, "task.target"}
        if path[0] == "time" and (len(path) == 1 or path[1] in ("event", "outcome")):
            names |= {COLUMNS, "time.event", "time.outcome"}
        if path == ("source",):
            names |= {"source.location", "source.partition"}
        if path == ("split",):
            names |= {"split.by", "split.group", "split.validation"}
    return names


def _original(path: KeyPath, renamed: Mapping[KeyPath, KeyPath]) -> KeyPath:
    """Return a path as the file writes it."""
    for length in range(len(path), 0, -1):
        written = renamed.get(path[:length])
        if written:
            return (*_original(written[:-1], renamed), written[-1], *path[length:])
    return path


def _holds(values: Any, step: str | int) -> bool:
    if isinstance(values, dict):
        return step in values
    return isinstance(values, list) and isinstance(step, int) and step < len(values)


def _at(content: Any, path: KeyPath) -> Any:
    for step in path:
        content = content[step]
    return content
