"""Frozen histories as files: arrays of numbers and JSON, which are data and can run no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mlops.datasets.declared.groups import Key
from mlops.datasets.declared.snapshots import GroupTable, HistorySnapshot
from mlops.errors import MlopsError
from mlops.records.atomic import atomic_file

_KEYS = "keys"  # JSON: for each history its name, and the keys of each level in order of place


def save_snapshot(snapshot: HistorySnapshot, path: Path) -> None:
    """Write a snapshot as one ``.npz`` file, whole or not at all; every bit comes back."""
    arrays: dict[str, Any] = {"as_of": np.array(snapshot.as_of, dtype="datetime64[us]")}
    keys: list[tuple[str, list[list[Key]]]] = []
    for number, (name, table) in enumerate(snapshot.tables.items()):
        keys.append((name, [sorted(known, key=known.__getitem__) for known, _ in table.levels]))
        for level, (_, sums) in enumerate(table.levels):
            arrays[f"{number}.{level}"] = sums
        arrays[f"{number}.everywhere"], arrays[f"{number}.ever"] = table.everywhere, table.ever
    arrays[_KEYS] = np.frombuffer(json.dumps(keys).encode(), dtype=np.uint8)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def load_snapshot(path: Path) -> HistorySnapshot:
    """Read a snapshot written by `save_snapshot`.

    Raises:
        MlopsError: If the file is missing or is no such snapshot.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        tables = {}
        for number, (name, levels) in enumerate(json.loads(arrays[_KEYS].tobytes())):
            tables[name] = GroupTable(
                tuple(
                    (
                        {tuple(key): place for place, key in enumerate(known)},
                        arrays[f"{number}.{level}"],
                    )
                    for level, known in enumerate(levels)
                ),
                arrays[f"{number}.everywhere"],
                arrays[f"{number}.ever"],
            )
        return HistorySnapshot(arrays["as_of"].item(), tables)
    except (OSError, EOFError, BadZipFile, ValueError, TypeError, KeyError) as error:
        raise MlopsError(
            f"{path}: cannot be read as frozen histories: {error}",
            "build them again with: mlops pipeline run route_statistics",
        ) from error
