"""MLflow's pages and API, behind checks that MLflow lacks.

MLflow has no sign-in. So it answers only requests that name it, it takes and hands out no files for
others (its pages show those that lie in the artifact root), and its connections are bounded. What
it stores is never trusted: see `mlops.registry.trust`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, Final

from mlops.gateway.connections import BoundedServer, ConnectionLimits, raise_file_limit
from mlops.gateway.names import KnownNames
from mlops.privacy import keep_private
from mlops.registry.connection import ensure_tracking
from mlops.serving.answers.errors import RequestError
from mlops.serving.http.http import error_reply, read_body, send_reply
from mlops.settings import Settings

MAX_BODY_BYTES: Final = 16_000_000  # a batch of metrics is far smaller
_CONNECTIONS: Final = 500
_STOP_SECONDS: Final = 3
# Routes that take files, or pass requests on to other servers.
_CLOSED_ENDS: Final = ("/upload-artifact", "/gateway-proxy", "/create-promptlab-run")


def is_closed(path: str) -> bool:
    """Tell whether a route of MLflow is closed to everybody."""
    return "mlflow-artifacts" in path or path.rstrip("/").endswith(_CLOSED_ENDS)


def run(settings: Settings) -> None:
    """Be MLflow's server on the tracking database until ended.

    Raises:
        RegistryError: If the database cannot be reached or prepared.
    """
    import uvicorn

    keep_private(settings.home)
    server = settings.server
    app = KnownNames(
        _bounded(_mlflow(settings)),
        settings.host_names,
        is_closed,
    )
    config = uvicorn.Config(
        app,
        host=server.mlflow_host,
        port=server.mlflow_port,
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    BoundedServer(config, ConnectionLimits.of(_CONNECTIONS, raise_file_limit())).run()


def _mlflow(settings: Settings) -> Any:
    """Return MLflow's own application as ASGI; it reads where things lie from the environment."""
    ensure_tracking(settings)  # the tables, under the registry's own lock, and the experiment
    import mlflow.server as mlflow_server

    os.environ[mlflow_server.BACKEND_STORE_URI_ENV_VAR] = settings.tracking_uri
    os.environ[mlflow_server.ARTIFACT_ROOT_ENV_VAR] = settings.artifact_root
    os.environ.pop(mlflow_server.SERVE_ARTIFACTS_ENV_VAR, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from starlette.middleware.wsgi import WSGIMiddleware

    return WSGIMiddleware(mlflow_server.app)


def _bounded(app: Any) -> Any:
    """Return an application that reads each body whole, and no more than is allowed, first."""

    async def answer(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        try:
            body = await read_body(scope, receive, MAX_BODY_BYTES)
        except RequestError as error:
            await send_reply(send, error_reply(error, ""), "")
            return

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, again, send)

    return answer
