"""The processes in which blocks run. Import only after `environment.boot`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mage_ai.orchestration.db import db_connection
from mage_ai.orchestration.db import engine as database

from mlops.orchestration.engine import environment
from mlops.orchestration.engine.queue import ForkQueue, JobEnd, JobPlan
from mlops.orchestration.runs import tables as runs

TICK_SECONDS = 0.02  # how long a driver sleeps between two looks at its queue


def fork_queue(workers: int, plan: Callable[[str, tuple[Any, ...]], JobPlan]) -> ForkQueue:
    """Return a queue whose children may use Mage's database."""

    def let_go_of_the_database() -> None:
        # A connection shared by two processes corrupts both their conversations.
        db_connection.session.commit()
        database.dispose()

    return ForkQueue(
        workers,
        plan,
        run=runs.run_job,
        before_fork=let_go_of_the_database,
        in_child=environment.log_readably,
    )


def plan_block(
    block: Any, log: Path, environment: Mapping[str, str], timeout_seconds: float
) -> JobPlan:
    """Plan the process of a block.

    Args:
        block: Its definition; ``configuration: {waits: true}`` says that it only waits for other
            runs, as every block does that stands for a global data product; or that others must
            not keep it waiting, as a rollback.
        log: Where it writes.
        environment: Variables of its process.
        timeout_seconds: How long it may take unless it says so itself; what waits may wait on.
    """
    configuration = (block and block.configuration) or {}
    waits = bool(configuration.get("waits") or configuration.get("global_data_product"))
    own = block and block.timeout
    limit = float(own) if own else None if waits else timeout_seconds
    return JobPlan(log, environment, limit, waits)


def why(end: JobEnd) -> str:
    """Say why a block's process ended without a result."""
    if end.timed_out:
        return (
            f"stopped after {end.seconds:.0f} s: the block's time-out "
            "(its `timeout`, or engine.block_timeout_seconds)"
        )
    if end.exit_code < 0:
        name = signal.Signals(-end.exit_code).name
        memory = ", often because of too little memory" if name == "SIGKILL" else ""
        return f"the block's process was killed by {name}{memory}"
    return f"the block's process ended with code {end.exit_code} and no result: see its log"
