"""What each model selection compared, how the gate judged, and what came of it: a file per run.

The registry remembers what was registered. What was refused, and what a winner was compared with,
is remembered here: dashboards and reports show it long after the run, without Mage's outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlops.data.references import Reference
from mlops.errors import DamagedFileError
from mlops.evaluation.results import Evaluation, Metrics
from mlops.evaluation.verdict import Verdict
from mlops.records.files import report
from mlops.records.folder import RecordFolder
from mlops.registry.receipts import Receipt
from mlops.settings import Settings


class Compared(Reference):
    """One candidate of a selection.

    Attributes:
        family: Of models.
        baseline: It only shows what the others must beat.
        validation_rmse: Of its search; candidates are ranked by it. None if that failed.
        trials: Of its search.
        seconds: Its refit and evaluation took.
        run_id: MLflow run of its search.
        metrics: On the test window; None if it could not be evaluated.
        error: Why it could not, or empty.
    """

    family: str
    baseline: bool
    validation_rmse: float | None
    trials: int
    seconds: float
    run_id: str
    metrics: Metrics | None
    error: str = ""


class SelectionOutcome(Reference):
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
    outcome: SelectionOutcome | None = None


def write_selection(settings: Settings, selection: Selection) -> None:
    """Keep a selection, in place of what was kept of the same run."""
    _records(settings).write(selection.run, selection)


def note_outcome(settings: Settings, run: str, outcome: SelectionOutcome) -> None:
    """Add to a selection what came of it; one that is gone stays gone.

    Raises:
        DamagedFileError: If its file is damaged.
    """
    selection = _records(settings).find(run)
    if selection is not None:
        write_selection(settings, selection.model_copy(update={"outcome": outcome}))


def read_selection(settings: Settings, run: str = "") -> Selection | None:
    """Return a selection, by default the last one that can be read; None if there is none.

    Raises:
        DamagedFileError: If the file of the one that was asked for is damaged.
    """
    if run:
        return _records(settings).find(run)
    return max(all_selections(settings), key=lambda selection: selection.at, default=None)


def all_selections(
    settings: Settings, on_damage: Callable[[DamagedFileError], None] = report
) -> list[Selection]:
    """Return all selections; damaged ones are logged."""
    return _records(settings).all(on_damage=on_damage)


def _records(settings: Settings) -> RecordFolder[Selection]:
    way_out = (
        "restore {path} from a backup, or remove it, which loses only that run's comparison; "
        "for a new one: mlops run"
    )
    return RecordFolder(settings.selections, Selection, way_out)
