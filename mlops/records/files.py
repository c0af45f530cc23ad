"""One JSON record in one file: written whole or not at all, read with an error that names the file.

Every record under the home is read here, so that a truncated, emptied or garbled one leads to the
same sentence everywhere: which file, what is wrong with it, and what to do.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from mlops.errors import DamagedFileError, MlopsError, cause_of
from mlops.records.atomic import atomic_file

logger = logging.getLogger(__name__)

R = TypeVar("R", bound=BaseModel)
# Changes the JSON of a record before it becomes one.
Prepare = Callable[[dict[str, Any]], dict[str, Any]]


def write_record(path: Path, record: BaseModel, indent: int | None = 1) -> Path:
    """Write a record in place of what the file held, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(record.model_dump_json(indent=indent), encoding="utf-8")
    return path


def read_record(path: Path, kind: type[R], way_out: str, prepare: Prepare | None = None) -> R:
    """Return the record in a file.

    Args:
        path: Of the file.
        kind: Of the record.
        way_out: What a person does about a damaged file: an imperative sentence in which ``{path}``
            stands for the file, quoted for a shell.
        prepare: Changes the JSON first; only for files that are read in part.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedFileError: If the file does not hold such a record.
    """
    try:
        content = path.read_bytes()
        if prepare is None:
            return kind.model_validate_json(content)
        return kind.model_validate(prepare(json.loads(content)))
    except FileNotFoundError:
        raise
    except ValidationError as error:
        raise damaged(path, _first_fault(error), way_out) from error
    except LookupError as error:  # the JSON is no such record's
        raise damaged(path, f"it lacks {error}", way_out) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, cause_of(error), way_out) from error


def find_record(
    path: Path, kind: type[R], way_out: str, prepare: Prepare | None = None
) -> R | None:
    """Return the record in a file, or None if there is no such file; else as `read_record`."""
    try:
        return read_record(path, kind, way_out, prepare)
    except FileNotFoundError:
        return None


def find_or_report(path: Path, kind: type[R], way_out: str) -> R | None:
    """Return the record in a file; None if there is none, or if it is damaged, which is logged.

    For records that are made again when there are none.
    """
    try:
        return find_record(path, kind, way_out)
    except DamagedFileError as error:
        report(error)
        return None


def write_pointer(path: Path, folder: str) -> None:
    """Let a file name one of the folders beside it, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(folder, encoding="utf-8")


def find_pointed(path: Path, file: str, way_out: str) -> Path | None:
    """Return the folder that a pointer names.

    Args:
        path: Of the pointer, which may not exist yet.
        file: That every such folder holds.
        way_out: As for `read_record`.

    Returns:
        The folder, or None if there is no pointer.

    Raises:
        DamagedFileError: If the pointer names no folder with such a file.
    """
    try:
        name = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise damaged(path, cause_of(error), way_out) from error
    if not re.fullmatch(r"\w[\w.-]{0,99}", name) or not (path.parent / name / file).is_file():
        raise damaged(path, f"it names {name[:80]!r}, and no such folder has a {file}", way_out)
    return path.parent / name


def damaged(path: Path, why: str, way_out: str) -> DamagedFileError:
    """Return the error of a file that holds something else than what was written.

    Args:
        path: Of the file.
        why: What is wrong with it, in words.
        way_out: As for `read_record`.
    """
    empty = path.is_file() and path.stat().st_size == 0
    what = "it is empty" if empty else why.splitlines()[0]
    return DamagedFileError(
        f"{path}: the file is damaged, or of another version of the project: {what}",
        way_out.replace("{path}", shlex.quote(str(path))),
        path,
    )


def report(error: DamagedFileError) -> None:
    """Log that a damaged file was left out, with the way out."""
    logger.warning("%s", MlopsError(f"{error.message}; it is left out", error.hint))


def refuse(error: DamagedFileError) -> NoReturn:
    """Raise the error: for readers that cannot continue without the file."""
    raise error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
