"""What a replay can reuse: results kept under the hash of everything they depend on.

This is what lets a killed replay go on, and policies share their trainings: a result is one file
that exists whole or not at all, and one whose inputs differ has another name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from mlops import fingerprints
from mlops.data.references import Reference
from mlops.records.files import find_or_report, write_record

Record = TypeVar("Record", bound=Reference)

WAY_OUT: Final = "repeat the backtest: it recomputes what is damaged"

# The packages whose code decides a result.
_PACKAGES = ("data", "datasets", "training", "evaluation", "monitoring", "backtest")


def key_of(*inputs: Any) -> str:
    """Return a short hash of inputs and of the code that turns them into results."""
    return fingerprints.of_values(fingerprints.of_code(*_PACKAGES), *inputs)[:16]


class Store:
    """Files of results, by kind and key.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def start_over(self) -> str:
        """What a person does about a damaged file that a later step of a replay needs."""
        return f"remove {self._folder}, then repeat the backtest, which calculates everything again"

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Return where a result of a kind lies, or is to lie."""
        return self._folder / kind / f"{key}{suffix}"

    def remembered(
        self,
        kind: str,
        key: str,
        record: type[Record],
        make: Callable[[], Record],
        is_whole: Callable[[Record], bool] = lambda record: True,
    ) -> Record:
        """Return a stored record, or make and store it.

        Args:
            kind: Folder of the record.
            key: As from `key_of`.
            record: Type of the record.
            make: Called unless the record is there and can be read.
            is_whole: Tells whether what belongs to a record is still as it was.
        """
        path = self.path(kind, key, ".json")
        stored = find_or_report(path, record, WAY_OUT)
        if stored is None or not is_whole(stored):
            stored = make()
            write_record(path, stored)
        return stored
