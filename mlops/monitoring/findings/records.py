"""What monitoring found and decided, as files that dashboards, metrics, reports and people read.

One file per window, written anew when labels arrive, and one per decision, never rewritten but to
note what came of it and that a later look confirmed it. Readers leave a damaged file out with a
warning; a decision never takes the window before a damaged one for the latest.

A busy server fills twenty windows a day, and each holds some 160 findings, few of which are ever
read again. A reader of many windows reads the older ones in outline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from mlops.errors import DamagedFileError
from mlops.evaluation.results import Result
from mlops.monitoring.findings.measurements import ALL_ROWS, FindingKind, current_subject
from mlops.monitoring.findings.policy import Decision
from mlops.monitoring.findings.report import WindowReport
from mlops.records.files import report as warn
from mlops.records.folder import RecordFolder
from mlops.registry.standing import model_ids
from mlops.settings import Settings

Origin = Literal["served", "source"]
# What says that the world changed, and not only how well it is predicted.
_CHANGES: Final[frozenset[FindingKind]] = frozenset({"drift", "labels"})
_VERSION_IN_NAME: Final = re.compile(r"v(\d+)-")


class WindowRecord(Result):
    """A window of rows that a version answered, and what was found in it.

    Attributes:
        window: Its name, unique, and a file name: ``v3-served-20240301T0000``.
        origin: ``served``: answers of the online server, as logged; ``source``: rows of the
            source after the version's test window, predicted by it afterwards.
        version: Of the model.
        start: From here on it holds what was asked, with time zone (of events, for ``source``).
        end: Exclusive; orders the windows.
        trips: How many answers.
        labelled: Of those, how many have a label.
        report: Every finding; ``report.start`` and ``report.end`` are of events.
        labels_from: Months of the source in which its events lie, with the hash of the file that
            labels were looked for in; empty where the source had none yet.
        model_id: Of the model it was measured with: another registry may have another version of
            that number. Empty in records of before it was noted.
        pickups: The first and the last event, by the dataset's clock, but for strays
            (`staging.stage`); None if no time is known, and in records of before it was noted.
    """

    window: str
    origin: Origin
    version: int
    start: datetime
    end: datetime
    trips: int
    labelled: int
    report: WindowReport
    labels_from: dict[str, str] = Field(default_factory=dict)
    model_id: str = ""
    pickups: tuple[datetime, datetime] | None = None


class DecisionRecord(Result):
    """A decision, and what came of it.

    Attributes:
        decision: With reasons and evidence.
        run_id: Number of the monitoring run that decided; 0 outside of a run.
        started: Pipeline that was started; empty if none.
        started_run: Number of its run.
        problem: Why nothing could be started, or empty.
        command: What a person would type to do the same, or empty.
        confirmed_at: When monitoring last looked and found nothing that changes it; None if it has
            not looked since. It tells a quiet month from a monitoring that has stopped.
    """

    decision: Decision
    run_id: int = 0
    started: str = ""
    started_run: int | None = None
    problem: str = ""
    command: str = ""
    confirmed_at: datetime | None = None

    @property
    def looked_at(self) -> datetime:
        """The last look that this decision is the answer to."""
        return self.confirmed_at or self.decision.at


def write_window(settings: Settings, record: WindowRecord) -> Path:
    """Store a window, in place of what was stored of it before."""
    return _windows(settings).write(record.window, record)


def write_decision(settings: Settings, record: DecisionRecord) -> Path:
    """Store a decision, or what came of it since."""
    return _decisions(settings).write(f"{record.decision.at:%Y%m%dT%H%M%S.%f}", record)


def read_windows(
    settings: Settings,
    version: int | None = None,
    whole: int | None = None,
    on_damage: Callable[[DamagedFileError], None] = warn,
) -> tuple[WindowRecord, ...]:
    """Return the stored windows by their ends, the latest last.

    A window that was measured with another model than the registry has under that number is left
    out: it is one of another registry's, and is measured anew.

    Args:
        settings: Say where they are.
        version: Of the model; None for all.
        whole: How many of the latest come with every finding; None for all. The others come in
            outline: with all alarms, what came nearest to one of each kind, and the errors of
            all rows. That takes a tenth of the memory (25 instead of 250 KB) and a third of the
            time (0.5 instead of 1.8 ms).
        on_damage: Given the error of each damaged file, which is left out unless this raises.
    """
    outline = None if whole is None else _in_outline
    found = _windows(settings).all(lambda path: _may_be_of(version, path), on_damage, outline)
    models = model_ids(settings) if found else {}
    chosen = (
        record
        for record in found
        if version in (None, record.version)
        and record.model_id in ("", models.get(record.version, record.model_id))
    )
    ordered = sorted(chosen, key=lambda record: (record.end, record.window))
    for place in range(max(len(ordered) - (whole or 0), 0), len(ordered)):
        ordered[place] = find_window(settings, ordered[place].window) or ordered[place]
    return tuple(ordered)


def find_window(settings: Settings, name: str) -> WindowRecord | None:
    """Return one window with every finding; None if there is none of that name.

    Raises:
        DamagedFileError: If its file is damaged.
    """
    return _windows(settings).find(name)


def read_decisions(
    settings: Settings, on_damage: Callable[[DamagedFileError], None] = warn
) -> tuple[DecisionRecord, ...]:
    """Return the stored decisions, the latest last; damaged ones are logged."""
    found = _decisions(settings).all(on_damage=on_damage)
    return tuple(sorted(found, key=lambda record: record.decision.at))


def last_change(
    decisions: Sequence[DecisionRecord], windows: Sequence[WindowRecord]
) -> datetime | None:
    """Return since when the world is another one, as far as monitoring had it retrained for it.

    Args:
        decisions: In the order of time.
        windows: Those that the decisions name, among others.

    Returns:
        The first event of the first window that showed drift, of inputs or of labels, to the last
        decision to retrain because of it; None if there was none, or its windows are gone.
    """
    pickups = {record.window: record.report.start for record in windows}
    for decision in (record.decision for record in reversed(decisions)):
        if decision.step == "retrain":
            changed = [w.window for w in decision.windows if w.violated & _CHANGES]
            starts = [start for name in changed if (start := pickups.get(name)) is not None]
            if starts:
                return min(starts)
    return None


def _windows(settings: Settings) -> RecordFolder[WindowRecord]:
    way_out = (
        "measure it again with: mlops monitor; if it is too old for that, restore {path} from a "
        "backup or remove it"
    )
    return RecordFolder(settings.monitored / "windows", WindowRecord, way_out)


def _decisions(settings: Settings) -> RecordFolder[DecisionRecord]:
    way_out = "restore {path} from a backup; or remove it, mlops monitor then decides again"
    return RecordFolder(settings.monitored / "decisions", DecisionRecord, way_out)


def _may_be_of(version: int | None, path: Path) -> bool:
    """Tell by its name, before it is read, whether a window may be one of a version."""
    named = _VERSION_IN_NAME.match(path.name)
    return version is None or named is None or int(named[1]) == version


def _in_outline(content: dict[str, Any]) -> dict[str, Any]:
    """Leave findings out of a stored window that nobody asks an older one for."""
    findings = content["report"]["findings"]
    nearest: set[str | None] = set()
    kept = []
    for finding in findings:
        kind, outcome = finding.get("kind", finding.get("family")), finding["outcome"]
        is_nearest = outcome != "unjudged" and kind not in nearest
        nearest |= {kind} if is_nearest else set()
        if is_nearest or outcome == "alarm" or current_subject(finding["subject"]) == ALL_ROWS:
            kept.append(finding)
    return {**content, "report": {**content["report"], "findings": kept}}
