"""Mage's own web server with its dashboards repaired and its doors shut.

Nothing of the installed package is changed on disk: rules are put in front of the application.
Import only after `environment.boot`.
"""

from __future__ import annotations

import functools
import gc
import os
from pathlib import Path
from typing import Any

from mage_ai.authentication.passwords import create_bcrypt_hash, generate_salt
from mage_ai.orchestration.db.models.oauth import User
from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.server import server
from mage_ai.server.api.base import BaseHandler
from mage_ai.server.scheduler_manager import scheduler_manager
from tornado.web import url

from mlops.gateway.connections import BODY_SECONDS, MAX_HEAD_BYTES, raise_file_limit
from mlops.orchestration.products import consumers
from mlops.orchestration.runs.lock import is_held
from mlops.orchestration.runs.naming import SCHEDULER_LOCK
from mlops.orchestration.triggers import access
from mlops.orchestration.web import completion, doors, editor, entrance, front_end, tiles, variables
from mlops.settings import Settings
from mlops.steps.charts import warm_up

IDLE_SECONDS = 75  # for the head of a request


def run(
    settings: Settings, project: Path, password: str, owner_marker: Path, *, renew: bool
) -> None:
    """Serve Mage's user interface until the process is ended (see `processes.run_web`)."""
    raise_file_limit()
    _enter_owner(settings.server.owner_email, password, owner_marker, renew=renew)
    make_app = server.make_app
    server.make_app = lambda *args, **kwargs: repair(make_app(*args, **kwargs), settings)
    _only_our_own_pages()
    # Mage waits for tables that another process may still be creating; ours exist.
    server.sleep = lambda seconds: None
    # Mage would make a folder for SSH tunnels in the project.
    server.file_path_aws_emr = lambda: str(settings.home / "server" / "ssh_tunnel.json")
    _show_our_scheduler(settings.home / SCHEDULER_LOCK)
    _leave_blocks_to_the_scheduler()
    editor.prepare(settings.home)
    completion.prepare()
    consumers.show_every_build()
    tiles.show_added(project)
    os.environ["MLOPS_HOME"] = str(settings.home)  # for charts, should an option have set it
    warm_up()
    # A full collection walks all that Mage has imported: a third of a second without an answer.
    gc.collect()
    gc.freeze()
    server.start_server(
        host=settings.server.host,
        port=settings.server.mage_port,
        project=str(project),
        instance_type="web_server",
    )


def _enter_owner(email: str, password: str, marker: Path, *, renew: bool) -> None:
    """Note whether Mage is about to create the owner; give one who exists a new password."""
    if User.query.count() == 0:
        marker.touch()
    elif renew:
        owner = User.query.filter(User.email == email).first()
        if owner is not None:
            salt = generate_salt()
            owner.update(password_salt=salt, password_hash=create_bcrypt_hash(password, salt))
            marker.touch()


def _show_our_scheduler(lock: Path) -> None:
    """Let the page tell the truth about our scheduler, and never start a second one."""
    status = scheduler_manager.SchedulerStatus
    scheduler_manager.get_status = lambda auto_restart=False: (
        status.RUNNING if is_held(lock) else status.STOPPED
    )
    scheduler_manager.start_scheduler = lambda *args, **kwargs: None
    scheduler_manager.stop_scheduler = lambda *args, **kwargs: None


def _leave_blocks_to_the_scheduler() -> None:
    """Only create runs here: the scheduler gives a run its blocks when it starts it.

    Mage adds them here one by one, when the run can already be seen: a scheduler that is quick
    finds none and adds all of them as well, and each block runs twice.
    """
    create = PipelineRun.create

    def without_blocks(*args: Any, **kwargs: Any) -> Any:
        return create(*args, **{**kwargs, "create_block_runs": False})

    PipelineRun.create = without_blocks


def repair(app: Any, settings: Settings) -> Any:
    """Shut the doors; put the rules that Mage lacks in front of the others."""
    server_settings = settings.server
    limit = access.SignInLimit(server_settings.sign_ins_per_minute)
    # Mage's own rule for page layouts swallows the charts below them.
    charts = url(
        r"/api/(?P<resource>page_block_layouts)/(?P<pk>.+)"
        r"/(?P<child>block_layout_items)/(?P<child_pk>.+)",
        server.ApiChildDetailHandler,
    )
    app.wildcard_router.rules[:0] = [charts, *variables.show_in_editor()]
    doors.shut(app, settings, limit, behind_proxy=bool(server_settings.public_url))
    entrance.guard(app, settings.host_names, doors.is_signed_in)
    # Tornado waits an hour for a head, and for ever for a body.
    app.listen = functools.partial(
        app.listen,
        max_header_size=MAX_HEAD_BYTES,
        idle_connection_timeout=IDLE_SECONDS,
        body_timeout=BODY_SECONDS,
    )
    app.wildcard_router.rules[:0] = front_end.changed_files()
    return app


def _only_our_own_pages() -> None:
    """Let browsers keep other sites' pages away from the API: Mage allows them all."""

    def set_default_headers(handler: BaseHandler) -> None:
        handler.set_header("Content-Type", "application/json")

    BaseHandler.set_default_headers = set_default_headers
