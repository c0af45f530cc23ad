"""Load on an HTTP server: wrk where it is installed, else a client of our own in this process.

wrk (https://github.com/wg/wrk) is a C program that takes little of the machine it shares with the
server. Our own client is slower, so that its latencies say more about itself: the report names the
one that was used.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final
from urllib.parse import urlsplit

from benchmarks.measuring import MeasurementError

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_MARGIN_SECONDS: Final = 30


@dataclass(frozen=True)
class Call:
    """A request that is repeated."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True)
class Load:
    """What a server made of it."""

    p50: float  # seconds
    p99: float
    per_second: float


def generator() -> str:
    """Return the name of what generates the load."""
    return "wrk" if shutil.which("wrk") else "a client in Python (wrk is not installed)"


def load(call: Call, connections: int, seconds: float) -> Load:
    """Repeat a request as fast as answers come, on some connections that are kept alive.

    Raises:
        MeasurementError: If any answer is not a success.
    """
    if shutil.which("wrk"):
        return _wrk(call, connections, seconds)
    return asyncio.run(_own(call, connections, seconds))


def _wrk(call: Call, connections: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "call.lua"
        body.write_text(call.body)
        headers = "".join(f'wrk.headers["{k}"] = "{v}"\n' for k, v in call.headers.items())
        script.write_text(
            f'wrk.method = "{call.method}"\n{headers}'
            f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*all")\nfile:close()\n'
        )
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
        done = subprocess.run(
            ["wrk", *options, "-s", str(script), call.url],
            capture_output=True,
            text=True,
            timeout=seconds + _MARGIN_SECONDS,
        )
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise MeasurementError(f"wrk {call.url}: {done.stdout}{done.stderr}")
    return parse_wrk(done.stdout)


def parse_wrk(text: str) -> Load:
    """Read what wrk prints with ``--latency``."""
    found = {
        share: float(value) * _UNITS[unit]
        for share, value, unit in re.findall(
            r"^\s+(50|99)%\s+([\d.]+)([a-z]+)$", text, re.MULTILINE
        )
    }
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or len(found) != 2:
        raise MeasurementError(f"wrk said something else than times and a rate: {text}")
    return Load(found["50"], found["99"], float(rate.group(1)))


async def _own(call: Call, connections: int, seconds: float) -> Load:
    parts = urlsplit(call.url)
    lines = [f"{call.method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    lines.append(f"Content-Length: {len(call.body.encode())}")
    request = ("\r\n".join(lines) + "\r\n\r\n" + call.body).encode()
    end = time.perf_counter() + seconds

    async def repeat() -> list[float]:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        took = []
        while (began := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 2"):
                raise MeasurementError(f"{call.url}: {head.decode()}")
            length = re.search(rb"content-length: (\d+)", head.lower()).group(1)
            await reader.readexactly(int(length))
            took.append(time.perf_counter() - began)
        writer.close()
        return took

    times = [
        t for took in await asyncio.gather(*[repeat() for _ in range(connections)]) for t in took
    ]
    cuts = quantiles(times, n=100)
    return Load(cuts[49], cuts[98], len(times) / seconds)
