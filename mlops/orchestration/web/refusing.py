"""How the doors in front of Mage say no: a status, and JSON in the form of Mage's own errors."""

from __future__ import annotations

from typing import Any

from tornado.web import RequestHandler

from mlops.errors import MlopsError


def refuse(handler: RequestHandler, status: int, message: str, **more: Any) -> None:
    """Answer a request with an error.

    Args:
        handler: Of the request.
        status: Of HTTP.
        message: What is wrong.
        **more: Further fields, beside ``code`` and ``message``.
    """
    handler.set_status(status)
    handler.set_header("Content-Type", "application/json")
    handler.finish({"error": {"code": status, "message": message, **more}})


def refuse_error(handler: RequestHandler, status: int, error: MlopsError, **more: Any) -> None:
    """Answer a request with what a check has raised."""
    refuse(handler, status, f"{error.message}: {error.hint}", hint=error.hint, **more)
