"""A definition's text as plain values, with the line of each: strict YAML, without its surprises.

YAML 1.1 reads `no` as false, `1:30` as 90 and a date as an object; anchors, aliases, tags and merge
keys hide what a file says. Here scalars follow the core schema of YAML 1.2, keys are always text,
and what hides is refused with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

KeyPath = tuple[str | int, ...]
_DEEPEST: Final = 12  # a definition needs five levels; deeper text would exhaust the stack
_MERGE: Final = "<<"
_WHOLE: Final = 1e15  # below it a float without a fraction is written as a whole number


class Mistake(NamedTuple):
    """One thing to correct.

    Attributes:
        path: Where it is: keys and positions, from the top of the file.
        message: What is wrong and what to write instead.
        refers: Names of columns and dotted paths that it depends on: if one of them is itself
            wrong, the mistake follows from that one.
    """

    path: KeyPath
    message: str
    refers: tuple[str, ...] = ()


class UnreadableTextError(ValueError):
    """The text is no YAML that a definition can be written in.

    Args:
        line: Line of the file, from 1.
        message: What is wrong and what to write instead.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Content(NamedTuple):
    """The values of a file.

    Attributes:
        values: Mappings, lists, texts, numbers, booleans and None.
        lines: Line of each key and each value of a list, by path.
        repeated: Keys that appear twice, each with the line of its second appearance.
    """

    values: Any
    lines: dict[KeyPath, int]
    repeated: list[tuple[int, Mistake]]


class _CoreLoader(yaml.SafeLoader):
    """Scalars of YAML 1.2's core schema."""


class _QuotingDumper(yaml.SafeDumper):
    """Quotes whatever a reader of YAML 1.1 or 1.2 would not take for text; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value out wherever it stands."""
        return True


_QuotingDumper.add_representer(
    float,
    lambda dumper, value: (
        dumper.represent_int(int(value))
        if value.is_integer() and abs(value) < _WHOLE
        else yaml.SafeDumper.represent_float(dumper, value)
    ),
)
_QuotingDumper.add_representer(
    str,
    lambda dumper, value: dumper.represent_scalar(
        "tag:yaml.org,2002:str",
        value,
        style='"' if re.search(r"[\x85\u2028\u2029]", value) else None,
    ),
)
_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", "[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]*\.[0-9]+|[0-9]+\.)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    for _class in (_CoreLoader, _QuotingDumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first]
        )


def as_text(values: Any, *, flow: bool = False) -> str:
    """Write plain values so that `read_text` reads the same ones.

    Args:
        values: Mappings, lists, texts, numbers, booleans and None.
        flow: Write all of them in one line, as `{a: [1]}`, without a newline.
    """
    text: str = yaml.dump(
        values,
        Dumper=_QuotingDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=flow or None,
        width=10**9 if flow else 100,
    )
    return text.removesuffix("\n").removesuffix("\n...") if flow else text


def read_text(raw: bytes) -> Content:
    """Read a file's bytes.

    Raises:
        UnreadableTextError: If it is not UTF-8 or no YAML, or uses what hides its meaning.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UnreadableTextError(line, "this is not UTF-8; save the file as UTF-8") from error
    try:
        _refuse_what_hides(text)
        loader = _CoreLoader(text)
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        repeated: list[tuple[int, Mistake]] = []
        values = None if node is None else _values(loader, node, (), lines, repeated)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        message = f"the character {chr(error.character)!r} is not accepted; remove it"
        raise UnreadableTextError(line, message) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UnreadableTextError(line, f"this is not YAML: {error.problem}") from error
    return Content(values, lines, repeated)


def _refuse_what_hides(text: str) -> None:
    """Refuse aliases, tags and depth before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=_CoreLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if anchor := getattr(event, "anchor", None):
            name = f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{anchor}"
            raise UnreadableTextError(
                line, f"{name}: anchors and aliases are not accepted; write the value out"
            )
        if tag := getattr(event, "tag", None):
            raise UnreadableTextError(line, f"the tag {tag} is not accepted; remove it")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise UnreadableTextError(
                    line, f"more than {_DEEPEST} levels of nesting; a definition has fewer"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _values(
    loader: Any,
    node: Any,
    path: KeyPath,
    lines: dict[KeyPath, int],
    repeated: list[tuple[int, Mistake]],
) -> Any:
    """Build the values below a node, and note where each one is."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [
            _values(loader, each, (*path, position), lines, repeated)
            for position, each in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        return dict(_items(loader, node, path, lines, repeated))
    try:
        return loader.construct_object(node)
    except ValueError as error:  # a number with thousands of digits
        message = "the value cannot be read; write a shorter one"
        raise UnreadableTextError(node.start_mark.line + 1, message) from error


def _items(
    loader: Any,
    node: Any,
    path: KeyPath,
    lines: dict[KeyPath, int],
    repeated: list[tuple[int, Mistake]],
) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or (key.value == _MERGE and key.style is None):
            raise UnreadableTextError(line, "the key is not accepted; write a plain word")
        inside = (*path, key.value)
        if key.value in seen:
            message = f"the key appears twice (first in line {lines[inside]}); keep one"
            repeated.append((line, Mistake(inside, message)))
            continue
        seen.add(key.value)
        lines[inside] = line
        yield key.value, _values(loader, value, inside, lines, repeated)
