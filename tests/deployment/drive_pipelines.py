"""Runs pipelines of this project in processes of their own, each of which can be killed alone.

Mage is imported once; each line on standard input, ``["run", pipeline, variables]`` or ``["resume",
run]``, becomes a fork that leads a session. Events and results are lines of JSON on standard
output; the last line of each command tells how its process ended.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.jobs.deployments import PRELOAD
from mlops.orchestration.runs.contract import Event, PipelineRequest
from mlops.registry.connection import load_mlflow
from mlops.settings import load_settings


def say(content: dict[str, Any]) -> None:
    print(json.dumps(content, default=str), flush=True)


def tell(event: Event) -> None:
    say({"event": type(event).__name__, **asdict(event)})


def work(command: list[Any]) -> None:
    engine = Engine(load_settings(), on_event=tell)
    if command[0] == "run":
        (result,) = engine.run(PipelineRequest(command[1], command[2]))
    else:
        result = engine.resume(command[1])
    errors = {block.block: block.error for block in result.failed_blocks}
    say({"result": result.status, "run": result.run_id, "errors": errors})


def main() -> None:
    load_mlflow()
    Engine(load_settings(), preload=PRELOAD)
    from mage_ai.orchestration.db import db_connection, engine

    say({"ready": True})
    for line in sys.stdin:
        db_connection.session.commit()
        engine.dispose()  # no connection is shared with the child
        pid = os.fork()
        if pid == 0:
            os.setsid()
            work(json.loads(line))
            os._exit(0)
        say({"pid": pid})
        say({"ended": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


main()
