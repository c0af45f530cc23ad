"""What a person sees while pipelines run, and the tables at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mlops.orchestration.runs.contract import (
    BlockFinished,
    BlockProgress,
    BlockStarted,
    Event,
    RunFinished,
    RunStarted,
)

PROGRESS_SECONDS = 3.0  # a line per block at most this often
GOOD = ("completed",)


class RunDisplay:
    """One line per block and step, with the time since the start.

    Attributes:
        runs: Numbers of the runs that have started, the one that was asked for first.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.runs: list[int] = []
        self._console = console
        self._clock = clock
        self._start = clock()
        self._last: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        """Show one event of the engine."""
        if isinstance(event, RunStarted):
            self.runs.append(event.run_id)
            self._line(event.pipeline, f"[bold]run {event.run_id}[/]")
        elif isinstance(event, BlockProgress):
            self._progress(event)
        elif isinstance(event, BlockFinished) and event.status == "condition_failed":
            self._line(event.pipeline, f"[dim]– {event.block} skipped[/]")
        elif isinstance(event, BlockFinished):
            good = event.status in GOOD
            mark = "[green]✓[/]" if good else "[red]✗[/]"
            text = f"{mark} {event.block} {event.seconds:.1f} s"
            self._line(event.pipeline, text if good else f"{text} [red]{event.error}[/]")
        elif isinstance(event, RunFinished):
            colour = "green" if event.status in GOOD else "red"
            self._line(event.pipeline, f"[bold {colour}]{event.status}[/] in {event.seconds:.1f} s")
        else:
            assert isinstance(event, BlockStarted)  # shown when it has something to say

    def _progress(self, event: BlockProgress) -> None:
        key = (event.pipeline, event.block)
        now = self._clock()
        if now - self._last.get(key, float("-inf")) < PROGRESS_SECONDS:
            return
        self._last[key] = now
        self._line(event.pipeline, f"… {event.block} {event.message} {_fields(event.fields)}")

    def _line(self, pipeline: str, text: str) -> None:
        elapsed = self._clock() - self._start
        self._console.print(f"[dim]{elapsed:6.1f} s[/]  {pipeline:<18} {text}", highlight=False)


def _fields(fields: Mapping[str, Any]) -> str:
    fields = dict(fields)
    shown = []
    if "trial" in fields and "trials" in fields:
        shown.append(f"trial {fields.pop('trial')}/{fields.pop('trials')}")
    for name, value in fields.items():
        number = f"{value:.3f}" if isinstance(value, float) else value
        shown.append(f"{name.replace('_', ' ')} {number}")
    return ", ".join(shown)


def terminal(*, stderr: bool = False) -> Console:
    """Return the console to print on; without a terminal, lines are not squeezed to 80 columns."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 140
    return console


def error_columns(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the errors of a model as columns, MAPE in percent; it is kept as a share.

    Args:
        metrics: The fields of `mlops.evaluation.results.Metrics`; empty for a failed candidate.
    """
    mape = metrics.get("mape")
    return {
        "MAE": metrics.get("mae"),
        "MAPE_%": None if mape is None else 100 * mape,
        "R²": metrics.get("r2"),
        "P90_error": metrics.get("p90_error"),
    }


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    title: str = "",
    empty: str = "nothing yet",
    console: Console | None = None,
) -> None:
    """Print rows as a table, or as JSON on standard output.

    Args:
        rows: Dicts whose keys are the headings; a row may lack some.
        as_json: Print the rows as a JSON list instead.
        title: Heading of the table.
        empty: What to say when there are no rows.
        console: Where to print the table.
    """
    if as_json:
        print(json.dumps(list(rows), default=str, indent=1))
        return
    console = console or terminal()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        value = ", ".join(map(str, value.values()))
    return str(value).replace("[", r"\[")
