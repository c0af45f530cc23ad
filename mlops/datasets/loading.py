"""Reading ``dataset.yaml``: each mistake with its line and the nearest valid word, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops.counting import counted
from mlops.datasets.catalogue import FILE_NAME
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.repair import all_mistakes
from mlops.datasets.text import KeyPath, UnreadableTextError, as_text, read_text
from mlops.errors import ConfigurationError, cause_of


class DefinitionError(ConfigurationError):
    """A definition has mistakes; the message lists all of them with their lines."""


class LocatedDefinition:
    """A definition and the lines that it was read from.

    Args:
        definition: With an absolute location.
        path: Of its file.
        lines: Line of each key, by path.
    """

    def __init__(
        self, definition: DatasetDefinition, path: Path, lines: Mapping[KeyPath, int]
    ) -> None:
        self.definition = definition
        self.path = path
        self._lines = lines

    def line(self, path: KeyPath) -> int:
        """Return the line of a path, or of what it lies in."""
        return _line(path, self._lines)


def load_definition(path: Path) -> DatasetDefinition:
    """Read a definition.

    Args:
        path: Of the file, or of the folder that holds ``dataset.yaml``.

    Returns:
        The definition; its location is absolute.

    Raises:
        DefinitionError: With a line for each mistake.
    """
    return locate_definition(path).definition


def locate_definition(path: Path) -> LocatedDefinition:
    """Read a definition, and keep its lines for what is found out about it later.

    Args:
        path: As in `load_definition`.

    Raises:
        DefinitionError: With a line for each mistake.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DefinitionError(
            f"{path}: the definition cannot be read: {cause_of(error)}",
            "check the path, or write a definition with: mlops dataset init FILES --target COLUMN",
        ) from error
    definition, lines = _parsed(raw, str(path))
    location = _absolute(definition.source.location, path.parent)
    return LocatedDefinition(definition.with_source(location), path, lines)


def parse_definition(text: str, name: str) -> DatasetDefinition:
    """Read a definition from text.

    Args:
        text: YAML.
        name: Of the file, for errors.

    Raises:
        DefinitionError: With a line for each mistake.
    """
    return _parsed(text.encode("utf-8", "surrogatepass"), name)[0]


def as_yaml(definition: DatasetDefinition, *, defaults: bool = True) -> str:
    """Return the resolved form.

    Args:
        definition: The definition.
        defaults: Also write the values that the file leaves to their defaults.
    """
    content = definition.model_dump(
        mode="json", exclude_none=True, exclude_defaults=not defaults, by_alias=True
    )
    return as_text(content)


def _parsed(raw: bytes, name: str) -> tuple[DatasetDefinition, dict[KeyPath, int]]:
    try:
        values, lines, repeated = read_text(raw)
    except UnreadableTextError as error:
        raise _refusal(name, [(error.line, str(error))]) from error
    if not isinstance(values, dict):
        raise _refusal(name, [(1, "the file holds no definition; it starts with name: …")])
    mistakes, definition = all_mistakes(values)
    located = [*repeated, *((_line(mistake.path, lines), mistake) for mistake in mistakes)]
    if located:
        shown = [(line, f"{'.'.join(map(str, m.path))}: {m.message}") for line, m in located]
        raise _refusal(name, shown)
    return definition, lines


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _refusal(name: str, mistakes: list[tuple[int, str]]) -> DefinitionError:
    unique = sorted(dict.fromkeys(mistakes))
    shown = "\n".join(f"  line {line}: {message}" for line, message in unique)
    return DefinitionError(
        f"{name} has {counted(len(unique), 'mistake')}:\n{shown}",
        "correct the lines, then run: mlops dataset check",
    )


def _absolute(location: str, folder: Path) -> str:
    if "://" in location or Path(location).is_absolute():
        return location
    return str((folder / location).resolve())
