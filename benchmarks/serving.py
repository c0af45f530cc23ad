"""The online server beside an endpoint that asks no model: latency, throughput, lists."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.inference import home_with_champion
from benchmarks.load import Call, Load, generator, load
from benchmarks.measuring import REPOSITORY, MeasurementError, free_port
from benchmarks.report import Section, Table, judged
from benchmarks.trips import Bench

AIM_RATIO: Final = 1.5
AIM_ROWS: Final = 200_000
AIM_BLOCK: Final = 10
AIM_RUN: Final = 1_000
# Measured with Mage 0.9.80 on two cores: a block run in its web server at its best, median, and a
# triggered pipeline run of one empty block with the scheduler's interval at one second.
MAGE_BLOCK_SECONDS: Final = 0.011
MAGE_RUN_SECONDS: Final = 1.45

_NO_MODEL: Final = "POST /validate"
_ROUNDS: Final = 5
_SECONDS: Final = 2
_LIST_TRIPS: Final = 10_000
_CONNECTIONS: Final = 8
_WORKERS: Final = (1, 2)
_START_SECONDS: Final = 60
_TRIP: Final[dict[str, Any]] = {
    "pickup_at": "2024-03-01T17:45:00",
    "pickup_zone": 74,
    "dropoff_zone": 161,
    "trip_distance": 3.2,
    "passenger_count": 1,
    "rate_code": 1,
    "trip_type": 1,
    "vendor_id": 2,
}


@dataclass(frozen=True)
class _Served:
    """What one number of workers gave."""

    alone: dict[str, Load]  # endpoint → one connection
    crowd: dict[str, Load]  # endpoint → several connections
    lists: Load


def run(bench: Bench) -> Section:
    """Load the server with one and with two workers."""
    home = home_with_champion(bench)
    return section({workers: _measured(home, workers) for workers in _WORKERS})


def _measured(home: Path, workers: int) -> _Served:
    with _server(home, workers) as (url, token):
        headers = {"X-API-Key": token, "Content-Type": "application/json"}
        one = json.dumps(_TRIP)
        calls = {
            "GET /healthz": Call(f"{url}/healthz"),
            _NO_MODEL: Call(f"{url}/validate", "POST", headers, one),
            "POST /predict": Call(f"{url}/predict", "POST", headers, one),
        }
        lists = Call(f"{url}/predict", "POST", headers, json.dumps({"trips": _many()}))
        for call in (*calls.values(), lists):
            load(call, workers, 1)  # warms up
        rounds = [
            {name: load(call, 1, _SECONDS) for name, call in calls.items()} for _ in range(_ROUNDS)
        ]
        return _Served(
            alone={name: _median([each[name] for each in rounds]) for name in calls},
            crowd={name: load(call, _CONNECTIONS, 2 * _SECONDS) for name, call in calls.items()},
            lists=load(lists, 2 * workers, 3 * _SECONDS),
        )


def _median(loads: list[Load]) -> Load:
    return Load(
        median(each.p50 for each in loads),
        median(each.p99 for each in loads),
        median(each.per_second for each in loads),
    )


def _many() -> list[dict[str, Any]]:
    """Return trips that differ, so that no route stays in a cache by accident."""
    dice = random.Random(7)
    return [
        {
            **_TRIP,
            "pickup_at": f"2024-03-{dice.randint(1, 20):02d}T{dice.randint(0, 23):02d}:15:00",
            "pickup_zone": dice.randint(1, 263),
            "dropoff_zone": dice.randint(1, 263),
            "trip_distance": round(dice.uniform(0.3, 15), 2),
        }
        for _ in range(_LIST_TRIPS)
    ]


@contextlib.contextmanager
def _server(home: Path, workers: int) -> Iterator[tuple[str, str]]:
    """Yield the address and a key of a server with a champion."""
    port, metrics_port = free_port(), free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MLOPS_")},
        "MLOPS_HOME": str(home),
        "MLOPS_SERVING__PORT": str(port),
        "MLOPS_SERVING__METRICS_PORT": str(metrics_port),
        "MLOPS_SERVING__WORKERS": str(workers),
        "MLOPS_SERVING__MAX_TRIPS": str(_LIST_TRIPS),
        # The limit is what is not measured here.
        "MLOPS_SERVING__REQUESTS_PER_SECOND": "1000000",
        "MLOPS_SERVING__BURST": "1000000",
    }
    command = [sys.executable, "-m", "mlops.cli"]
    made = subprocess.run(
        [*command, "keys", "add", "benchmark"],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    with home.with_name("serving.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve"], env=environment, cwd=REPOSITORY, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process)
        yield url, made.stdout.strip()
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2):
            time.sleep(1)  # the other workers have loaded it then, too
            return
        time.sleep(0.1)
    raise MeasurementError(f"no champion is served at {url}; see serving.log beside the home")


def section(served: dict[int, _Served]) -> Section:
    """Lay the numbers out against the aims."""
    one = served[1].alone
    predict = one["POST /predict"].p50

    def beside(name: str) -> tuple[float | None, str]:
        ratio = predict / one[name].p50
        # Judged beside what reads and checks the same body; /healthz reads none at all.
        return ratio, judged(ratio, AIM_RATIO, at_most=True) if name == _NO_MODEL else ""

    alone = Table(
        ("one connection, one worker", "p50 µs", "p99 µs", "/predict ÷ row", "aim"),
        [
            (name, 1e6 * found.p50, 1e6 * found.p99, *_unless_itself(name, beside))
            for name, found in one.items()
        ],
    )
    crowd = Table(
        (f"{_CONNECTIONS} connections", "workers", "requests/s", "p50 µs", "p99 µs"),
        [
            (name, workers, round(found.per_second), 1e6 * found.p50, 1e6 * found.p99)
            for workers, each in served.items()
            for name, found in each.crowd.items()
        ],
    )
    lists = Table(
        (f"lists of {_LIST_TRIPS:,} trips", "workers", "trips/s", "aim", "p50 ms", "p99 ms"),
        [
            (
                "POST /predict",
                workers,
                round(each.lists.per_second * _LIST_TRIPS),
                judged(each.lists.per_second * _LIST_TRIPS, AIM_ROWS, at_most=False),
                1e3 * each.lists.p50,
                1e3 * each.lists.p99,
            )
            for workers, each in served.items()
        ],
    )
    mage = Table(
        ("in Mage 0.9.80", "p50 ms", "times slower", "aim"),
        [
            _against("a block run in its web server", MAGE_BLOCK_SECONDS, predict, AIM_BLOCK),
            _against("a triggered pipeline run", MAGE_RUN_SECONDS, predict, AIM_RUN),
        ],
    )
    return Section(
        title="Online server: predictions over HTTP",
        method=f"The load is generated by {generator()} on the same machine. The server answers"
        " with the champion of the main job; API keys and the prediction log are on. With one"
        f" connection, the numbers are medians of {_ROUNDS} rounds of {_SECONDS} s in which the"
        " endpoints take turns. /validate reads and checks the same body, but calls no model;"
        " /healthz reads no body.",
        tables=(alone, crowd, lists, mage),
        notes=(
            "The load generator needs a core, so two workers on two cores compete with it.",
            "Mage's times are its best case, measured once on two cores, not in this run.",
        ),
    )


def _unless_itself(name: str, beside: Any) -> tuple[float | None, str]:
    return (None, "") if name == "POST /predict" else beside(name)


def _against(
    name: str, seconds: float, predict: float, aim: float
) -> tuple[str, float, float, str]:
    times = seconds / predict
    return name, 1e3 * seconds, times, judged(times, aim, at_most=False)
