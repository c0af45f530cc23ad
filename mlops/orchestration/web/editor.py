"""Mage's editor: its kernel gets what our other processes have, and runs leave no copies behind.

The kernel is a process of its own, in which a block runs when a person clicks on it. Nothing here
imports Mage before it is asked to.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from mlops.orchestration.engine import environment

_FIRST_LINE: Final = "import mlops.orchestration.web.editor as _; _.start_kernel()"


def prepare(home: Path) -> None:
    """In the web server, before it starts a kernel: say how each one begins.

    Args:
        home: Our home.
    """
    kernels: Any = importlib.import_module("mage_ai.server.kernels")
    arguments = kernels.kernel_managers[kernels.DEFAULT_KERNEL_NAME].kernel_spec.argv
    arguments.append(f"--IPKernelApp.exec_lines={json.dumps([_FIRST_LINE])}")
    _leave_no_copies(home / "server" / "pipeline_copies")


def start_kernel() -> None:
    """In a kernel: boot Mage as in every other process of ours."""
    # The kernel is a child of the web server and has its environment.
    environment.boot(log=None)
    run_below_data_products()


def run_below_data_products() -> None:
    """Let blocks below a global data product run in a kernel, whose event loop is running.

    Mage asks which other blocks read the product with `asyncio.run`, which a running loop refuses.
    """
    module: Any = importlib.import_module("mage_ai.orchestration.triggers.global_data_product")
    module.asyncio = _RunsAnywhere()


class _RunsAnywhere:
    """Takes the place of `asyncio` where Mage looks after global data products."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it in a thread, which has no event loop yet."""
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(asyncio.run, work).result()


def _leave_no_copies(folder: Path) -> None:
    """Keep what a run of a whole pipeline in the editor puts aside out of the project.

    Mage copies the definition into a folder beside the pipelines, where it counts as one of them,
    and puts it back when the run is cancelled, over whatever was edited meanwhile. There is
    nothing to put back: running changes no definition any more.
    """
    websockets: Any = importlib.import_module("mage_ai.server.websocket_server")
    websockets.PIPELINES_FOLDER = os.fspath(folder)  # joined to the project's path: it wins
    websockets.copy_file = lambda *arguments: None
    websockets.set_previous_config_path = lambda path: None
