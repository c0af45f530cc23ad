"""The check of a definition against its table: everything that would spoil a model, at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from mlops.counting import counted
from mlops.datasets.checking.findings import TableFinding
from mlops.datasets.checking.future import future_findings
from mlops.datasets.checking.parts import part_findings
from mlops.datasets.checking.windows import history_findings, split_findings
from mlops.datasets.declared.reading import iter_frames, source_files
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.thinning import SAMPLE_ROWS, thinned

_ORDER = ("error", "warning", "note")


class TableCheck(NamedTuple):
    """The result.

    Attributes:
        findings: Worst first.
        rows: Of the table.
        sampled: Rows that were looked at.
        planted: How many columns that know the future were planted and found.
    """

    findings: tuple[TableFinding, ...]
    rows: int
    sampled: int
    planted: int

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(finding.severity == "error" for finding in self.findings)


def check_table(
    definition: DatasetDefinition, months: Sequence[str] = (), min_rows: int = 0
) -> TableCheck:
    """Check a definition against its table.

    Args:
        definition: With an absolute location.
        months: To read, for a location with ``{month}``.
        min_rows: That a run needs, of each month or of the whole table.

    Raises:
        SourceError: If a file cannot be read or lacks a declared column.
    """
    frame, rows = _sample(definition, months)
    if frame is None:
        message, remedy = "the table has no rows", "give files with rows"
        return TableCheck((TableFinding("error", ("source",), message, remedy),), 0, 0, 0)
    scale = rows / len(frame)
    leaks, count = future_findings(definition, frame)
    findings = [
        *_few_rows(rows, len(months), min_rows),
        *leaks,
        *part_findings(definition, frame),
        *split_findings(definition, frame, scale),
        *history_findings(definition, frame, scale),
    ]
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    return TableCheck(tuple(findings), rows, len(frame), count)


def _few_rows(rows: int, months: int, min_rows: int) -> Iterator[TableFinding]:
    if rows < min_rows * max(months, 1):
        of = f"{months} months have" if months else "table has"
        yield TableFinding(
            "warning",
            ("source",),
            f"the {of} {counted(rows, 'row')}, and a run refuses "
            f"{'a month' if months else 'a table'} with fewer than {min_rows:,} valid ones",
            "give more rows, or lower the limit: mlops run --set validation.min_rows=NUMBER",
        )


def _sample(definition: DatasetDefinition, months: Sequence[str]) -> tuple[Any, int]:
    files = [path for month in months or [""] for path in source_files(definition, month)]
    limit = max(1, SAMPLE_ROWS // len(files))
    frames, total = [], 0
    for path in files:
        kept, rows = thinned(
            iter_frames(definition, path),
            limit,
            lambda parts: pd.concat(parts, ignore_index=True),
            _every,
        )
        total += rows
        if kept is not None and len(kept):
            frames.append(kept)
    return (pd.concat(frames, ignore_index=True) if frames else None), total


def _every(part: Any, first: int, step: int) -> Any:
    return part.iloc[first::step]
