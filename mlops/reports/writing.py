"""Where reports go: a file under the home, and an artifact of the run that they are about."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from mlops.records.atomic import atomic_file
from mlops.registry.connection import connect, registry_errors
from mlops.reports.document import Document, render
from mlops.settings import Settings

logger = logging.getLogger(__name__)

ARTIFACTS: Final = "reports"


def write_report(document: Document, path: Path) -> str:
    """Write a report, whole or not at all; returns its HTML."""
    html = render(document)
    with atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return html


def log_report(settings: Settings, run_id: str, name: str, html: str) -> str:
    """Log a report as an artifact of an MLflow run, in place of what it was before.

    Args:
        settings: Say where experiments are recorded.
        run_id: Of MLflow.
        name: Of the file.
        html: The report.

    Returns:
        Where it lies, a URI.

    Raises:
        RegistryError: If it cannot be written.
    """
    client = connect(settings)
    with registry_errors(settings):
        client.log_text(run_id, html, f"{ARTIFACTS}/{name}")
        return f"{client.get_run(run_id).info.artifact_uri}/{ARTIFACTS}/{name}"
