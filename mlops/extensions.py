"""What a project adds to the library: one file for one thing, in a folder for each kind.

``extensions/families/nearest.py`` at the root of the project defines a `Family` at its top level,
and that is all: the registry of families asks for it here. Files of a kind are imported when that
kind is first needed, so that a mistake in one stops only what needs the kind. Code is taken from
the project alone, never from the working directory, and it is part of every key of a cache (see
`mlops.fingerprints`).
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, TypeVar

from mlops.errors import ConfigurationError
from mlops.settings import PROJECT_ROOT

Kind = Literal["families", "rules", "sources", "detectors", "channels"]
Added = TypeVar("Added")

FOLDER: Final = PROJECT_ROOT / "extensions"
_PACKAGE: Final = "extensions"


def added(kind: Kind, of: Callable[..., Added]) -> tuple[Added, ...]:
    """Return what the project adds of a kind, in the order of the names of the files.

    Args:
        kind: Name of the folder.
        of: Class of what its files define at their top level.

    Raises:
        ConfigurationError: Naming the file, and the line if there is one, that cannot be loaded or
            defines nothing of the kind.
    """
    return _added(FOLDER, kind, of)


def files(folder: Path | None = None) -> tuple[Path, ...]:
    """Return every file of the extensions, or those below one of their folders."""
    return tuple(sorted((folder or FOLDER).rglob("*.py")))


def importable() -> None:
    """Let Python find the modules: a stored model may hold an object of a class in one."""
    package = sys.modules.setdefault(_PACKAGE, ModuleType(_PACKAGE))
    package.__path__ = [str(FOLDER)]


@lru_cache
def _added(folder: Path, kind: Kind, of: Any) -> tuple[Any, ...]:
    importable()
    found: list[Any] = []
    for file in sorted((folder / kind).glob("*.py")):
        values = vars(_imported(kind, file)).values()
        defined = [v for v in values if isinstance(v, of) and not isinstance(v, type)]
        if not defined:
            raise ConfigurationError(
                f"{file}: defines no {of.__name__}",
                f"define one at the top level of the file: extensions/README.md has an example, or"
                f" move the file out of extensions/{kind}",
            )
        found += defined
    return tuple(found)


def _imported(kind: Kind, file: Path) -> ModuleType:
    try:
        return import_module(f"{_PACKAGE}.{kind}.{file.stem}")
    except Exception as error:  # whatever the code of a user raises
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)
        ]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise ConfigurationError(
            f"{file}{f', line {line}' if line else ''}: {type(error).__name__}: {error}",
            "correct the file; every file in extensions/ is loaded",
        ) from error
