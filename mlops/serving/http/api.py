"""The routes that are called rarely, and the description of all: a FastAPI application.

Swagger's page loads its scripts from a foreign server, with the API key typed into it: the page at
``/docs`` is our own (`mlops.serving.http.documentation`), and needs neither script nor key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import mlops
from mlops.serving.answers.errors import RequestError
from mlops.serving.answers.state import problem_in
from mlops.serving.forms.form import ApiDescription, Lookup
from mlops.serving.forms.replies import ErrorReply, ModelReply, ServedVersion
from mlops.serving.http import documentation

if TYPE_CHECKING:
    from mlops.serving.http.app import Application

_ERRORS: Final = {
    "400": "the caller disconnected before the body was complete",
    "401": "no valid API key",
    "408": "the body did not arrive in time",
    "413": "too many rows or bytes",
    "415": "not JSON by its content type",
    "422": "a field is wrong",
    "429": "above the key's rate limit; see Retry-After",
    "503": "no champion is loaded yet",
}
_REQUEST_ID: Final = {"X-Request-Id": {"schema": {"type": "string"}}}


def build_api(application: Application) -> FastAPI:
    """Make the application behind `mlops.serving.http.app.Application`.

    Args:
        application: Knows the versions at hand.
    """
    described = application.form.api
    api = FastAPI(
        title=described.title,
        description=described.description,
        version=mlops.__version__,
        docs_url=None,
        redoc_url=None,
    )

    @api.get("/healthz", summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "dataset": application.settings.dataset}

    @api.get("/readyz", summary="A champion is loaded", responses=_described("503"))
    async def readyz() -> dict[str, Any]:
        return {"status": "ready", "model_version": application.require_lineup().champion.number}

    @api.get("/model", summary="Versions that answer", responses=_described("401", "429", "503"))
    async def model() -> ModelReply:
        lineup = application.require_lineup()
        versions = [
            ServedVersion(
                version=version.number,
                role=role,
                since=version.since,
                bundle=version.bundle,
                family=version.model.family,
                synthetic=version.synthetic,
                info=parsed_info(version.model.head.info),
            )
            for version, role in lineup.versions
        ]
        return ModelReply(
            champion=versions[0],
            beside=versions[1] if len(versions) > 1 else None,
            rollout=lineup.rollout if len(versions) > 1 else None,
            problem=problem_in(application.settings.served),
        )

    for lookup in described.lookups:
        _add(lookup, api)

    @api.get("/", include_in_schema=False)
    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        page = documentation.page(api.openapi(), described.lookups)
        return HTMLResponse(page, headers=documentation.HEADERS)

    @api.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return _error(error, request)

    @api.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        field, message = {
            404: ("path", "there is no such path"),
            405: ("method", f"send {(error.headers or {}).get('Allow', 'another')}"),
        }.get(error.status_code, ("", str(error.detail)))
        return _error(RequestError(error.status_code, field, message, error.headers), request)

    api.openapi = lambda: _openapi(api, described)  # type: ignore[method-assign]
    return api


def parsed_info(info: Mapping[str, str]) -> dict[str, Any]:
    """Return what a bundle tells of its model; objects are kept as JSON in it."""
    return {
        name: json.loads(text) if text.startswith(("{", "[")) else text
        for name, text in info.items()
    }


def _error(error: RequestError, request: Request) -> Response:
    content = {**error.content, "request_id": request.scope["request_id"]}
    return JSONResponse({"error": content}, error.status, error.headers)


def _openapi(api: FastAPI, described: ApiDescription) -> dict[str, Any]:
    """Describe all paths; those that FastAPI does not see come from the same pydantic models."""
    if api.openapi_schema:
        return api.openapi_schema
    document = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    replies = [reply for _, kinds in described.posts.values() for reply in kinds]
    _, schemas = models_json_schema(
        [
            *((request, "validation") for request in described.requests[::-1]),
            (ErrorReply, "serialization"),
            *((reply, "serialization") for reply in replies),
        ],
        ref_template="#/components/schemas/{model}",
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{"key": []}, {"bearer": []}]
    for path in ("/healthz", "/readyz", *(lookup.path for lookup in described.lookups)):
        document["paths"][path]["get"]["security"] = []
    for path, (summary, kinds) in described.posts.items():
        document["paths"][path] = {"post": _post(summary, kinds, described)}
    api.openapi_schema = document
    return document


def _add(lookup: Lookup, api: FastAPI) -> None:
    """Add the path of a list that requests refer to."""

    @api.get(lookup.path, summary=lookup.summary, response_model=list[lookup.reply])  # type: ignore[name-defined]
    async def rows() -> Any:
        return lookup.rows()


def _post(
    summary: str, replies: tuple[type[BaseModel], ...], described: ApiDescription
) -> dict[str, Any]:
    examples = {name: {"value": body} for name, body in described.examples.items()}
    requests = _any_of(*described.requests)
    return {
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": requests, "examples": examples}},
        },
        "responses": {
            "200": {
                "description": "Answered",
                "headers": _REQUEST_ID,
                "content": {"application/json": {"schema": _any_of(*replies)}},
            },
            **json.loads(json.dumps(_described(*_ERRORS))),
            "413": {**_described("413")["413"], "description": described.too_many},
        },
    }


def _described(*statuses: str) -> dict[int | str, dict[str, Any]]:
    """Describe errors, all of one shape."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}}
    return {
        status: {"description": _ERRORS[status], "headers": _REQUEST_ID, "content": content}
        for status in statuses
    }


def _any_of(*models: type[BaseModel]) -> dict[str, Any]:
    references = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return references[0] if len(references) == 1 else {"anyOf": references}
