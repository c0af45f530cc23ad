"""What a reader gets: sections of Markdown tables, with the machine and the date above them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.measuring import REPOSITORY

Cell = str | int | float | None
_PACKAGES = ("mage-ai", "mlflow", "pandas", "pyarrow", "scikit-learn", "xgboost-cpu")


@dataclass(frozen=True)
class Table:
    """A table: one header and rows of as many cells."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Section:
    """One part of the results."""

    title: str
    method: str  # what was measured and how, in a short paragraph
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = field(default=())


def text_of(cell: Cell) -> str:
    """Write a cell: thousands separated, floats with about three digits, nothing for ``None``."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        digits = 0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def markdown_table(table: Table) -> str:
    """Lay a table out in Markdown, its columns aligned; columns of numbers to the right.

    Raises:
        ValueError: If a row does not have as many cells as the header.
    """
    if any(len(row) != len(table.header) for row in table.rows):
        raise ValueError(f"a row does not fit the header {table.header}")
    columns = list(
        zip(table.header, *([text_of(c) for c in row] for row in table.rows), strict=True)
    )
    widths = [max(3, *map(len, column)) for column in columns]
    numeric = [
        all(not isinstance(row[i], str) for row in table.rows) and bool(table.rows)
        for i in range(len(table.header))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]
    body = [[text_of(cell) for cell in row] for row in table.rows]
    return "\n".join(line(cells) for cells in (list(table.header), rule, *body))


def markdown_section(section: Section) -> str:
    """Write one section under a second-level heading."""
    parts = [f"## {section.title}", section.method, *map(markdown_table, section.tables)]
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes))
    return "\n\n".join(parts)


def document(sections: Sequence[Section], minutes: float) -> str:
    """Write the whole of ``RESULTS.md``."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. Each measurement runs in a process of its own, and"
        " ratios compare numbers of the same run.",
        markdown_table(Table(("", ""), [*machine(), ("this run took", f"{minutes:.1f} minutes")])),
        *map(markdown_section, sections),
    ]
    return "\n\n".join(parts) + "\n"


def judged(value: float, limit: float, *, at_most: bool) -> str:
    """Say whether a number keeps within its aim, e.g. ``≤ 1.15 met``."""
    met = value <= limit if at_most else value >= limit
    return f"{'≤' if at_most else '≥'} {text_of(limit)} {'met' if met else 'missed'}"


def machine() -> list[tuple[str, str]]:
    """Describe when, on what and with what this runs; the load tells who else was at work."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return [
        ("date", f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"),
        ("processor", f"{_processor()}, {usable_cores()} cores usable"),
        ("memory", f"{memory:.0f} GB"),
        (
            "load before the first measurement",
            f"{os.getloadavg()[0]:.2f} (0 means an idle machine)",
        ),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES)),
        ("commit", _commit()),
    ]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
