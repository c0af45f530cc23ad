"""What a list of datasets says of each, without reading its table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlops.datasets.loading import load_definition
from mlops.errors import MlopsError


def summary(name: str, path: Path) -> dict[str, Any]:
    """Return what a list shows of a definition.

    Args:
        name: Of its folder.
        path: Of its file.
    """
    row: dict[str, Any] = {
        "dataset": name,
        "title": "",
        "task": "",
        "rows": None,
        "file": str(path),
    }
    try:
        definition = load_definition(path)
    except MlopsError as error:
        trouble = error.message.splitlines()[0].removeprefix(str(path)).strip(" :")
        return {**row, "title": f"{trouble}; what to correct: mlops dataset check {name}"}
    task = f"{definition.task.kind} of {definition.task.target}"
    return {
        **row,
        "title": definition.title,
        "task": task,
        "rows": _rows(definition.source.location),
    }


def months_there(location: str) -> tuple[str, ...]:
    """Return the months of which there are local files, for a location with ``{month}``."""
    if "{month}" not in location or "://" in location:
        return ()
    path = Path(location)
    pattern = re.escape(path.name).replace(r"\{month\}", r"(\d{4}-(?:0[1-9]|1[0-2]))")
    names = path.parent.iterdir() if path.parent.is_dir() else ()
    found = (re.fullmatch(pattern, each.name) for each in names)
    return tuple(sorted(match[1] for match in found if match))


def _rows(location: str) -> int | None:
    """Return the number of rows if files say it without being read: local Parquet."""
    if "://" in location:
        return None
    months = months_there(location)
    paths = [Path(location.replace("{month}", month)) for month in months or [""]]
    files = [each for path in paths for each in ([path] if path.is_file() else path.glob("*"))]
    try:
        return sum(pq.read_metadata(file).num_rows for file in files) if files else None
    except (pa.ArrowException, OSError):
        return None
