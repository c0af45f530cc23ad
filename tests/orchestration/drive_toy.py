"""Drives the toy project in a process of its own: ``drive_toy.py PROJECT STEPS``.

Mage binds its project and database at import, so each home needs a fresh process. Prints one JSON
object per line: every event as it happens, then ``{"result": ...}`` for each step.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

from mlops.errors import MlopsError
from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.runs.contract import PipelineRequest
from mlops.settings import load_settings

STARTED = time.monotonic()


def say(**content):
    print(json.dumps(content, default=str), flush=True)


def describe(result):
    return {
        "run_id": result.run_id,
        "status": result.status,
        "seconds": result.seconds,
        "blocks": {block.block: dataclasses.asdict(block) for block in result.blocks},
        "outputs": {
            name: result.output(name)
            for name in {block.block.partition(":")[0] for block in result.blocks}
            | {block.block for block in result.blocks}
        },
    }


def main():
    project, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
    engine = Engine(
        load_settings(),
        project,
        on_event=lambda event: say(event=type(event).__name__, **dataclasses.asdict(event)),
    )
    say(booted=time.monotonic() - STARTED)
    for name, argument in steps:
        try:
            if name == "run":
                requests = [PipelineRequest(*request) for request in argument]
                result = [describe(result) for result in engine.run(*requests)]
            elif name == "resume":
                result = describe(engine.resume(argument))
            elif name == "stale":
                result = [run.run_id for run in engine.stale_runs()]
            elif name == "fresh":
                result = engine.product_is_fresh(argument)
        except MlopsError as error:
            result = {"raised": type(error).__name__, "message": str(error)}
        say(result=result)


if __name__ == "__main__":
    main()
