"""Starts a pipeline as a person would from outside: a POST to its API trigger, with its token.

So what monitoring starts is a run like any other: seen, stopped and limited in the same places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests

from mlops.errors import ServerError
from mlops.orchestration.runs.datasets import DATASET
from mlops.orchestration.runs.history import trigger_states
from mlops.orchestration.triggers.tokens import api_token
from mlops.settings import Settings

TRIGGER: Final = "api"  # its name, of every pipeline
TIMEOUT_SECONDS: Final = 15.0  # Mage answers within 50 ms; a machine may be busy
_START: Final = "start the servers: mlops up"


def start_pipeline(
    settings: Settings,
    pipeline: str,
    variables: Mapping[str, Any],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> int:
    """Start a run of a pipeline in the server of this home.

    Args:
        settings: Say where the server answers, where triggers and tokens are, and the dataset.
        pipeline: Its name.
        variables: Of the run.
        timeout_seconds: For the connection, and again for the answer.

    Returns:
        The number of the run.

    Raises:
        ServerError: If no server answers, or it refuses.
        ConfigurationError: If the token in the environment is too short.
    """
    state = trigger_states(settings).get((pipeline, TRIGGER))
    if state is None:
        raise ServerError(f"no server has ever run in {settings.home}", _START)
    url = f"{settings.mage_url}/api/pipeline_schedules/{state.id}/api_trigger"
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between us and ourselves
        try:
            answer = session.post(
                url,
                json={"pipeline_run": {"variables": {DATASET: settings.dataset, **variables}}},
                headers={"Authorization": f"Bearer {api_token(settings, pipeline)}"},
                timeout=timeout_seconds,
                allow_redirects=False,
            )
        except requests.Timeout:
            raise ServerError(
                f"{settings.mage_url} does not answer within {timeout_seconds:g} s",
                "check the server's load and log, or restart it: mlops up",
            ) from None
        except requests.RequestException:
            raise ServerError(f"no server answers at {settings.mage_url}", _START) from None
    return _run_in(answer, settings.mage_url, pipeline)


def _run_in(answer: requests.Response, server: str, pipeline: str) -> int:
    """Return the number of the run that an answer tells of.

    Mage itself answers errors with 200 and ``{"error": …}``, the doors in front of it with a
    status of their own and the same body.
    """
    try:
        content = answer.json()
        error = content.get("error")
        if error is None and answer.ok:
            return int(content["pipeline_run"]["id"])
        message = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError, LookupError, TypeError):
        message = ""
    raise ServerError(
        f"{server} did not start {pipeline}: {message or f'it answered {answer.status_code}'}",
        "see the state of the triggers: mlops triggers",
    )
