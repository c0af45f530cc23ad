"""What each process of `mlops up` does first: make its environment, then become a server."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mlops.orchestration.engine import environment
from mlops.orchestration.servers import logs
from mlops.orchestration.triggers import access
from mlops.settings import PROJECT_ROOT, Settings


def run_scheduler(settings: Settings, project: Path) -> None:
    """Be the scheduler until ended."""
    logs.begin()
    environment.prepare(settings, project)
    environment.boot(log=None, preload=_preload(project))
    from mlops.orchestration.triggers import scheduler  # imports Mage: only now

    scheduler.run(settings, project)


def _preload(project: Path) -> tuple[str, ...]:
    """Return what blocks import: once before they are forked, so that a rollback need not wait."""
    if project.resolve() != PROJECT_ROOT.resolve():
        return ()
    from mlops.orchestration.jobs import deployments, main_job

    return (*main_job.PRELOAD, *deployments.PRELOAD)


def run_web(
    settings: Settings, project: Path, password: str, owner_marker: Path, *, renew: bool
) -> None:
    """Be Mage's web server until ended.

    Args:
        settings: The configuration.
        project: The Mage project's root.
        password: Given to the owner if there is no user yet.
        owner_marker: Created if the owner is given the password.
        renew: Give it to an owner who exists, too.
    """
    logs.begin()
    server = settings.server
    os.environ.update(
        REQUIRE_USER_AUTHENTICATION="1",
        DEFAULT_OWNER_EMAIL=server.owner_email,
        DEFAULT_OWNER_USERNAME=server.owner_email.partition("@")[0],
        DEFAULT_OWNER_PASSWORD=password,
        JWT_SECRET=access.private_secret(settings.home / "server" / "jwt_secret"),
        MAGE_PUBLIC_HOST=server.public_url or f"http://{server.host}:{server.mage_port}",
    )
    environment.prepare(settings, project)
    environment.boot(log=None)
    from mlops.orchestration.web import application as web  # imports Mage: only now

    web.run(settings, project, password, owner_marker, renew=renew)


def run_mlflow(settings: Settings) -> None:
    """Be MLflow's server until ended. It has no sign-in: it answers known names only."""
    logs.begin()
    from mlops.orchestration.servers import mlflow_server

    mlflow_server.run(settings)


def run_observer(settings: Settings) -> None:
    """Be the observer until ended: tables for dashboards, metrics for Prometheus."""
    logs.begin()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    from mlops.observability.observer import observe

    observe(settings)
