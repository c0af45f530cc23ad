"""The routes for holders of a trigger's token: start a run, and read its state.

Import only after `environment.boot`.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Any, Final, NamedTuple

import sqlalchemy
from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.data_preparation.models.triggers import ScheduleStatus, ScheduleType
from mage_ai.orchestration.db.models.schedules import PipelineRun, PipelineSchedule
from mage_ai.orchestration.triggers.utils import create_and_start_pipeline_run
from mage_ai.server.api.base import BaseHandler
from mage_ai.shared.requests import get_bearer_auth_token_from_headers
from tornado.web import url

from mlops.errors import MlopsError
from mlops.orchestration.runs import tables as runs
from mlops.orchestration.runs.datasets import dataset_asked, dataset_named
from mlops.orchestration.runs.history import explain
from mlops.orchestration.runs.liveness import has_driver
from mlops.orchestration.runs.marks import is_marked
from mlops.orchestration.triggers.admission import accepted_names
from mlops.orchestration.web.forms import check_run_of
from mlops.orchestration.web.refusing import refuse, refuse_error
from mlops.records import strict
from mlops.settings import Settings

FORM: Final = 'send {"pipeline_run": {"variables": {…}}}'
KEY_HEADER: Final = "Idempotency-Key"
_KEY: Final = "idempotency_key"  # in the metrics of a run, with what it was asked
_SKIP: Final = "skip_if_running"
_MAX_KEY: Final = 200  # characters


class TriggerRequest(NamedTuple):
    """What the body of a POST asks for."""

    variables: dict[str, Any]
    skip_if_running: bool


def rules(settings: Settings) -> list[Any]:
    """Return the rules for Mage's application."""
    trigger = r"/api/pipeline_schedules/(?P<pipeline_schedule_id>\d+)/api_trigger"
    given = {"settings": settings}
    return [
        url(trigger, TriggerDoor, given),
        url(trigger + r"/(?P<run_id>\d+)", RunDoor, given),
    ]


class _ForToken(BaseHandler):  # type: ignore[misc]
    """Answers callers that have the trigger's token, and nobody else."""

    method = ""

    def initialize(self, settings: Settings) -> None:
        """Take what the rule gives."""
        self._settings = settings

    def prepare(self) -> None:
        """Check method and token."""
        if self.request.method != self.method:
            return refuse(self, 405, f"send a {self.method}")
        runs.forget()  # or a token changed by another process would not be seen
        trigger = PipelineSchedule.query.get(int(self.path_kwargs["pipeline_schedule_id"]))
        given = get_bearer_auth_token_from_headers(self.request.headers) or ""
        is_api = trigger is not None and trigger.schedule_type == ScheduleType.API
        expected = (trigger.token if is_api else None) or ""
        # The same answer whether the trigger or the token is wrong: numbers are easy to guess.
        if not expected or not compare_digest(given.strip().encode(), expected.encode()):
            return refuse(self, 401, "no API trigger with this number has this token")
        self._trigger = trigger
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say that it failed, as an error and without Mage's stack trace."""
        refuse(self, status_code, "the request could not be carried out: see the server's log")


class TriggerDoor(_ForToken):
    """Starts a run.

    Mage would answer errors with 200, take any column of the run from the body (a run created as
    completed never runs), rank variables outside ``pipeline_run`` below the trigger's own, accept
    variables that nobody reads, and switch a trigger on that a person has switched off.
    """

    method = "POST"

    def post(self, pipeline_schedule_id: str) -> None:
        """Start a run, or name the one that this request or another has started already."""
        trigger = self._trigger
        if trigger.status != ScheduleStatus.ACTIVE:
            return refuse(self, 409, f"the trigger {trigger.name!r} is switched off")
        asked = asked_in(self.request.body)
        if isinstance(asked, str):
            return refuse(self, 400, asked)
        key = self.request.headers.get(KEY_HEADER, "").strip()
        if len(key) > _MAX_KEY:
            return refuse(self, 400, f"{KEY_HEADER}: it has more than {_MAX_KEY} characters")
        if key and (run := self._run_of_key(key)) is not None:
            if run.metrics[_KEY]["variables"] != asked.variables:
                problem = f"{KEY_HEADER}: it belongs to run {run.id}, whose request was different"
                return refuse(self, 422, problem)
            return self._tell(run, started=False)
        if asked.skip_if_running and (run := self._in_progress(asked)) is not None:
            return self._tell(run, started=False)
        try:
            check_run_of(trigger, asked.variables)
        except MlopsError as error:
            names = accepted_names(trigger.pipeline_uuid)
            return refuse_error(self, 400, error, accepted=names)
        pipeline = Pipeline.get(trigger.pipeline_uuid, repo_path=trigger.repo_path)
        note = {_KEY: {"key": key, "variables": asked.variables}} if key else {}
        payload = {"variables": dict(asked.variables), "event_variables": {}, "metrics": note}
        run = create_and_start_pipeline_run(pipeline, trigger, payload, should_schedule=False)
        return self._tell(run, started=True)

    def _run_of_key(self, key: str) -> Any:
        """Return the run that a request with this key has started through this trigger, or None."""
        text = sqlalchemy.cast(PipelineRun.metrics, sqlalchemy.Text)
        found = PipelineRun.query.filter(
            PipelineRun.pipeline_schedule_id == self._trigger.id, text.contains(f'"{_KEY}"')
        ).order_by(PipelineRun.id.desc())
        return next((r for r in found.all() if (r.metrics or {})[_KEY]["key"] == key), None)

    def _in_progress(self, asked: TriggerRequest) -> Any:
        """Return the newest run like the one asked for that somebody works on or will, or None.

        Runs wait in the table while the scheduler is away, so a run of its own counts in any case.
        """
        pipeline = self._trigger.pipeline_uuid
        dataset = dataset_asked(pipeline, self._trigger.id, asked.variables)
        found = PipelineRun.query.filter(
            PipelineRun.pipeline_uuid == pipeline,
            PipelineRun.status.in_(runs.IN_PROGRESS),
        ).order_by(PipelineRun.id.desc())
        alive = (
            run
            for run in found.all()
            if dataset_named(run.variables) == dataset
            and (not is_marked(run) or has_driver(self._settings, run.metrics))
        )
        return next(alive, None)

    def _tell(self, run: Any, *, started: bool) -> None:
        self.write({"pipeline_run": run.to_dict(), "started": started})


class RunDoor(_ForToken):
    """Reports a run's state to callers that may start runs of its pipeline."""

    method = "GET"

    def get(self, pipeline_schedule_id: str, run_id: str) -> None:
        """Describe a run and its blocks."""
        run = PipelineRun.query.get(int(run_id))
        if run is None or run.pipeline_uuid != self._trigger.pipeline_uuid:
            name = self._trigger.pipeline_uuid
            return refuse(self, 404, f"{name} has no run {run_id}")
        blocks = [
            {
                "block": block.block_uuid,
                "status": block.status.value,
                "error": explain((block.metrics or {}).get("error") or {}),
            }
            for block in sorted(run.block_runs, key=lambda block: block.id)
        ]
        content = {
            "id": run.id,
            "pipeline": run.pipeline_uuid,
            "status": run.status.value,
            "is_over": run.status not in runs.IN_PROGRESS,
            "created_at": run.created_at,
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "blocks": blocks,
        }
        self.write({"pipeline_run": content})
        return None


def asked_in(body: bytes) -> TriggerRequest | str:
    """Return what the body of a trigger's request asks for, or what is wrong with it."""
    try:
        content = strict.loads(body or b"{}")
    except ValueError as error:
        return f"the body is not valid JSON ({error}): {FORM}"
    run = content.get("pipeline_run", {}) if isinstance(content, dict) else None
    if not isinstance(run, dict) or not isinstance(run.get("variables", {}), dict):
        return f"the body has another form: {FORM}"
    others = sorted((content.keys() - {"pipeline_run", _SKIP}) | (run.keys() - {"variables"}))
    if others:
        return f"{', '.join(others)}: is not accepted here: {FORM}"
    skip = content.get(_SKIP, False)
    if not isinstance(skip, bool):
        return f"{_SKIP}: {skip!r} is neither true nor false"
    return TriggerRequest(run.get("variables", {}), skip)
