"""Reports that pipelines leave behind: of a selection, and the card of a version."""

from __future__ import annotations

import logging

from mlops import progress
from mlops.errors import ConfigurationError
from mlops.settings import Settings

logger = logging.getLogger(__name__)


def leave_report(settings: Settings, kind: str, name: str) -> None:
    """Write a report and log it to MLflow; what it is about is done, whatever happens here.

    Args:
        settings: Say where everything is.
        kind: As for `mlops.reports.making.make_report`.
        name: Which one.
    """
    # Only here: drawing takes imports that a rollback must not wait for.
    from mlops.reports.making import make_report

    try:
        made = make_report(settings, kind, name)
    except Exception as error:  # it must not undo what was done
        if not isinstance(error, ConfigurationError):  # which says that there is none to be had
            logger.exception("%s %s: the report could not be written", kind, name)
        progress.report(f"no report of {kind} {name}: {type(error).__name__}: {error}")
        return
    progress.report(f"{made.title}: {made.path}")
