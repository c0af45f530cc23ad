"""What the engine takes, tells and returns: plain frozen values, free of Mage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlops.errors import CandidateFailureError
from mlops.settings import DEFAULT_DATASET

RunStatus = Literal["completed", "failed", "cancelled"]
# upstream_failed: a block before it failed; condition_failed: its conditional said no.
BlockStatus = Literal[
    "completed",
    "failed",
    "cancelled",
    "upstream_failed",
    "condition_failed",
    "initial",
]


@dataclass(frozen=True)
class PipelineRequest:
    """One pipeline to run.

    Args:
        pipeline: Name of the folder under ``pipelines/``.
        variables: JSON values every block receives as keyword arguments.
    """

    pipeline: str
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStarted:
    """A pipeline run exists and its first blocks are about to start."""

    pipeline: str
    run_id: int


@dataclass(frozen=True)
class BlockStarted:
    """A block's process has started."""

    pipeline: str
    block: str


@dataclass(frozen=True)
class BlockProgress:
    """A block reported a step through `mlops.progress.report`."""

    pipeline: str
    block: str
    message: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class BlockFinished:
    """A block has ended, or will not run any more (then ``seconds`` is 0)."""

    pipeline: str
    block: str
    status: BlockStatus
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class RunFinished:
    """A pipeline run has ended."""

    pipeline: str
    run_id: int
    status: RunStatus
    seconds: float


Event = RunStarted | BlockStarted | BlockProgress | BlockFinished | RunFinished


@dataclass(frozen=True)
class BlockResult:
    """How one block ended."""

    block: str
    status: BlockStatus
    seconds: float
    error: str  # `module.Class: message` of its exception, or why it was stopped
    log: Path


@dataclass(frozen=True)
class PipelineResult:
    """How one pipeline run ended, with its blocks in the pipeline's order."""

    pipeline: str
    run_id: int
    status: RunStatus
    seconds: float
    blocks: tuple[BlockResult, ...]
    read_output: Callable[[str], Any] = field(repr=False, compare=False)
    dataset: str = DEFAULT_DATASET

    @property
    def succeeded(self) -> bool:
        """Whether every block that should run did."""
        return self.status == "completed"

    @property
    def failed_blocks(self) -> tuple[BlockResult, ...]:
        """The blocks that failed by themselves, not those behind them."""
        return tuple(block for block in self.blocks if block.status == "failed")

    @property
    def survived(self) -> bool:
        """Whether all that failed are candidates whose siblings and collector went on."""
        whole = ("completed", "condition_failed", "failed")
        name = f"{CandidateFailureError.__module__}.{CandidateFailureError.__qualname__}: "
        return (
            self.status == "failed"
            and bool(self.failed_blocks)
            and all(block.status in whole for block in self.blocks)
            and all(block.error.startswith(name) for block in self.failed_blocks)
        )

    def output(self, block: str) -> Any:
        """Return the JSON value a block returned.

        Args:
            block: The block's name. A dynamic block's name gives the list of its children's
                values in order (``None`` where a child has none); ``name:child`` gives one.

        Raises:
            KeyError: If the pipeline has no such block.
        """
        return self.read_output(block)


@dataclass(frozen=True)
class StaleRun:
    """A run whose engine was killed: `Engine.resume` finishes it."""

    run_id: int
    pipeline: str
    started: str  # ISO time, UTC
