"""The last selection: which candidates were compared, which won, and what the gate said of it.

Kept as one small file, whether the winner was registered or refused: pages show it long after the
run, without reading Mage's outputs.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from mlops.data.atomic import atomic_file
from mlops.evaluation.metrics import Metrics, Result
from mlops.evaluation.verdict import Verdict
from mlops.settings import Settings

_FILE: Final = "last_selection.json"


class Compared(Result):
    """One candidate of a selection.

    Attributes:
        family: Of models.
        baseline: It only shows what the others must beat.
        validation_rmse: Of its search, minutes; candidates are ranked by it.
        trials: Of its search.
        seconds: Its refit and evaluation took.
        metrics: On the test window; None if it could not be evaluated.
        error: Why it could not, or empty.
    """

    family: str
    baseline: bool
    validation_rmse: float
    trials: int
    seconds: float
    metrics: Metrics | None
    error: str = ""


class Selection(Result):
    """A selection and its outcome.

    Attributes:
        at: With time zone.
        candidates: Best validation error first, failures last.
        winner: Its family.
        champion: Version it was compared with; None if there was none.
        verdict: The gate's.
        data_hash: Of the training set.
    """

    at: datetime
    candidates: tuple[Compared, ...]
    winner: str
    champion: int | None
    verdict: Verdict
    data_hash: str


def write_selection(settings: Settings, selection: Selection) -> None:
    """Keep a selection in place of the one before."""
    with atomic_file(_path(settings)) as path:
        path.write_text(selection.model_dump_json(indent=1), encoding="utf-8")


def read_selection(settings: Settings) -> Selection | None:
    """Return the last selection; None before the first, or if another version wrote it."""
    try:
        return Selection.model_validate_json(_path(settings).read_bytes())
    except (OSError, ValidationError):
        return None


def _path(settings: Settings) -> Path:
    return settings.home / "runs" / _FILE
