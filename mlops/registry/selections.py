"""What each model selection compared, how the gate judged, and what came of it: a file per run.

The registry remembers what was registered. What was refused, and what a winner was compared with,
is remembered here: dashboards and reports show it long after the run, without Mage's outputs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from mlops.data.atomic import atomic_file
from mlops.data.references import Reference
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import Metrics
from mlops.evaluation.verdict import Verdict
from mlops.registry.receipts import Receipt
from mlops.settings import Settings

logger = logging.getLogger(__name__)


class Compared(Reference):
    """One candidate of a selection.

    Attributes:
        family: Of models.
        baseline: It only shows what the others must beat.
        validation_rmse: Of its search, minutes; candidates are ranked by it.
        trials: Of its search.
        seconds: Its refit and evaluation took.
        run_id: MLflow run of its search.
        metrics: On the test window; None if it could not be evaluated.
        error: Why it could not, or empty.
    """

    family: str
    baseline: bool
    validation_rmse: float
    trials: int
    seconds: float
    run_id: str
    metrics: Metrics | None
    error: str = ""


class Outcome(Reference):
    """What came of a selection.

    Attributes:
        version: That the winner became; None if the gate refused it.
        promoted: Whether it became champion at once.
        run_id: MLflow run of the registered model, or of the refused candidate's search.
        summary: In words.
    """

    version: int | None
    promoted: bool
    run_id: str
    summary: str


class Selection(Reference):
    """A selection from its candidates to its outcome.

    Attributes:
        run: Names it: the number of its pipeline run, or ``editor`` outside of one.
        at: When the gate judged, with time zone.
        candidates: Best validation error first, failures last.
        winner: Its family.
        champion: Version it was compared with; None if there was none.
        verdict: The gate's.
        receipt: Where the winner comes from.
        evaluation: Of the winner on the test window.
        outcome: None until it is registered or refused.
    """

    run: str
    at: datetime
    candidates: tuple[Compared, ...]
    winner: str
    champion: int | None
    verdict: Verdict
    receipt: Receipt
    evaluation: Evaluation
    outcome: Outcome | None = None


def write_selection(settings: Settings, selection: Selection) -> None:
    """Keep a selection, in place of what was kept of the same run."""
    with atomic_file(_path(settings, selection.run)) as path:
        path.write_text(selection.model_dump_json(indent=1), encoding="utf-8")


def note_outcome(settings: Settings, run: str, outcome: Outcome) -> None:
    """Add to a selection what came of it; one that is gone stays gone."""
    selection = _read(_path(settings, run))
    if selection is not None:
        write_selection(settings, selection.model_copy(update={"outcome": outcome}))


def read_selection(settings: Settings, run: str = "") -> Selection | None:
    """Return a selection, by default the last one; None if there is none that can be read."""
    found = {selection.run: selection for selection in _read_all(settings)}
    if run:
        return found.get(run)
    return max(found.values(), key=lambda selection: selection.at, default=None)


def _path(settings: Settings, run: str) -> Path:
    return settings.selections / f"{run}.json"


def _read_all(settings: Settings) -> Iterator[Selection]:
    for path in sorted(settings.selections.glob("*.json")):
        selection = _read(path)
        if selection is not None:
            yield selection


def _read(path: Path) -> Selection | None:
    try:
        return Selection.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        logger.warning("%s: left out: %s", path, str(error).splitlines()[0])
        return None
