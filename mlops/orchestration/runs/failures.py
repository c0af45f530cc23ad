"""A failed run as the error a person should read: of the kind its block raised, with its log."""

from __future__ import annotations

from pathlib import Path

from mlops import errors
from mlops.errors import HINT, ConfigurationError, MlopsError, PipelineFailureError
from mlops.orchestration.runs.contract import PipelineResult


def require_success(result: PipelineResult, go_on: str) -> None:
    """Raise what made a run fail, if it did.

    Args:
        result: How the run ended.
        go_on: The command that goes on once the cause is mended.

    Raises:
        MlopsError: Naming the pipeline, the block, its error and its log.
    """
    if result.succeeded:
        return
    if not result.failed_blocks:
        raise PipelineFailureError(
            f"{result.pipeline} run {result.run_id} {result.status}", f"continue with: {go_on}"
        )
    failed = result.failed_blocks[0]
    kind, text = _kind_of(failed.error)
    message, _, own = text.partition(HINT)
    raise kind(
        f"{result.pipeline}: block {failed.block} failed: {message}",
        _way_on(kind, own, failed.log, go_on),
    )


def _way_on(kind: type[MlopsError], own: str, log: Path, go_on: str) -> str:
    """Say what to do: never only what has just failed.

    A request that was wrong fails again however often it goes on, and a hint that names a command
    of its own tells what to type.
    """
    if own and (issubclass(kind, ConfigurationError) or "mlops " in own):
        return own
    return f"{own or f'read {log} and fix the cause'}; then continue with: {go_on}"


def _kind_of(text: str) -> tuple[type[MlopsError], str]:
    """Find the class of an error that was raised in a block's process, for its exit code."""
    name, colon, message = text.partition(": ")
    kind = getattr(errors, name.rpartition(".")[2], None) if colon else None
    if isinstance(kind, type) and issubclass(kind, MlopsError):
        return kind, message
    return PipelineFailureError, text
