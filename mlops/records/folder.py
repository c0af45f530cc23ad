"""A folder of JSON records of one kind, a file each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic

from mlops.errors import DamagedFileError
from mlops.records.files import Prepare, R, find_record, report, write_record

_NAME: Final = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class RecordFolder(Generic[R]):
    """Records by name.

    Args:
        folder: Where they lie; it need not exist.
        kind: Of every record.
        way_out: What a person does about a damaged file, as for `files.read_record`.
        pattern: Of the names of the records' files.
    """

    folder: Path
    kind: type[R]
    way_out: str
    pattern: str = "*.json"

    def path(self, name: str) -> Path:
        """Return the file of a record."""
        return self.folder / f"{name}.json"

    def paths(self) -> list[Path]:
        """Return the files of all records, sorted by name."""
        return sorted(self.folder.glob(self.pattern))

    def write(self, name: str, record: R) -> Path:
        """Store a record in place of the one with this name."""
        return write_record(self.path(name), record)

    def find(self, name: str) -> R | None:
        """Return a record; None if there is none of that name.

        Raises:
            DamagedFileError: If its file is damaged.
        """
        if not _NAME.fullmatch(name):
            return None  # a name is no way to other files
        return find_record(self.path(name), self.kind, self.way_out)

    def all(
        self,
        wanted: Callable[[Path], bool] = lambda path: True,
        on_damage: Callable[[DamagedFileError], None] = report,
        prepare: Prepare | None = None,
    ) -> list[R]:
        """Return all records, sorted by name.

        Args:
            wanted: Tells by its path whether a file is read at all.
            on_damage: Given the error of each damaged file, which is left out unless this raises;
                by default a warning is logged.
            prepare: As for `files.read_record`.
        """
        records = []
        for path in filter(wanted, self.paths()):
            try:
                records.append(find_record(path, self.kind, self.way_out, prepare))
            except DamagedFileError as error:  # noqa: PERF203
                on_damage(error)
        return [record for record in records if record is not None]  # None: removed meanwhile
