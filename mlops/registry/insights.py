"""What the record tells of a candidate's model, for those who look at it."""

from __future__ import annotations

from mlops.evaluation.insight import Insight
from mlops.registry.connection import connect
from mlops.registry.models import find_logged
from mlops.registry.tracking import INSIGHT_FILE
from mlops.settings import Settings


def load_insight(settings: Settings, run_id: str) -> Insight | None:
    """Return what was seen in a run's model, or None if nothing is recorded that can be read.

    Args:
        settings: Say where the record is kept.
        run_id: Of a candidate (`FinishedSearch`) or of a registered version (`VersionInfo`).
    """
    return find_logged(connect(settings), run_id, INSIGHT_FILE, Insight)
