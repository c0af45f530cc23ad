"""The measured process: calls one function once and prints what it cost as JSON.

Started by `benchmarks.measuring.measure`, never by hand.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import resource
import sys
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")


def memory_mb(field: str) -> float:
    """Return resident memory of this process in MB (10⁶ bytes).

    Args:
        field: ``VmRSS`` for now, ``VmHWM`` for the peak so far (Linux, ``man 5 proc``). Elsewhere
            the peak stands for both; it is not used on Linux because a process inherits the
            ``ru_maxrss`` of the one that started it.
    """
    if not _STATUS.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / 1e6


def main() -> None:
    """Call ``module:function`` with the JSON object on standard input."""
    module, name = sys.argv[1].split(":")
    arguments = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        function = getattr(importlib.import_module(module), name)
        idle = memory_mb("VmRSS")
        started, cpu_started = time.perf_counter(), time.process_time()
        result = function(**arguments)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    content = {
        "result": result,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "idle_mb": idle,
        "peak_mb": memory_mb("VmHWM"),
    }
    print(json.dumps(content))


if __name__ == "__main__":
    main()
