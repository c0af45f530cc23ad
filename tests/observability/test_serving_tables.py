"""What the dashboard Serving shows, from the metrics of a server and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.observability.memory import Memory
from mlops.observability.serving_tables import TABLES
from mlops.observability.world import ObservedWorld
from mlops.registry.rollout import Rollout
from mlops.serving.answers.metrics import SECONDS
from mlops.serving.answers.state import Served, ServingState, write_state
from mlops.settings import Settings, load_settings

NOW = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)


class FakeServer:
    """Tells the metrics of an online server, as a test wants them."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.errors: dict[tuple[int, str, str], int] = {}
        self.answers: dict[tuple[int, str], list[tuple[float, float]]] = {}
        self.port = 0

    def answered(self, version: int, role: str, times: int, seconds: float, minutes: float) -> None:
        self.answers.setdefault((version, role), []).extend([(seconds, minutes)] * times)
        key = ("/predict", 200)
        self.requests[key] = self.requests.get(key, 0) + times

    def text(self) -> str:
        name = "mlops_serving"
        lines = [
            f'{name}_requests_total{{endpoint="{endpoint}",status="{status}"}} {n}'
            for (endpoint, status), n in self.requests.items()
        ]
        lines += [
            f'{name}_errors_total{{version="{v}",role="{r}",error="{e}"}} {n}'
            for (v, r, e), n in self.errors.items()
        ]
        for (version, role), answers in self.answers.items():
            who = f'version="{version}",role="{role}"'
            lines.append(f"{name}_model_info{{{who}}} 1")
            lines.append(f"{name}_prediction_sum{{{who}}} {sum(m for _, m in answers)}")
            for metric, bounds, place in (
                ("seconds", SECONDS, 0),
                ("prediction", TaxiTrips.answer_bounds, 1),
            ):
                for bound in (*bounds, float("inf")):
                    n = sum(answer[place] <= bound for answer in answers)
                    le = "+Inf" if bound == float("inf") else bound
                    lines.append(f'{name}_{metric}_bucket{{le="{le}",{who}}} {n}')
        return "\n".join([*lines, ""])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Return a server of metrics on the loopback."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = fake.text().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        fake.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield fake
        http.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path, server: FakeServer) -> Settings:
    return load_settings(
        {"home": tmp_path, "serving.metrics_url": f"http://127.0.0.1:{server.port}"}
    )


@pytest.fixture
def look(settings: Settings) -> Callable[..., dict[str, pd.DataFrame]]:
    """Return what refreshes all tables at a time, as an observer does."""
    memory = Memory()

    def refreshed(minutes: float) -> dict[str, pd.DataFrame]:
        world = ObservedWorld(settings, now=NOW + timedelta(minutes=minutes), memory=memory)
        made = {name: table.of(world) for name, table in TABLES.items()}
        settings.observed.mkdir(exist_ok=True)
        made["serving_samples"].to_parquet(settings.observed / "serving_samples.parquet")
        return made

    return refreshed


def test_without_a_server_every_table_is_empty(tmp_path: Path) -> None:
    nobody = load_settings({"home": tmp_path, "serving.metrics_url": "http://127.0.0.1:9"})
    world = ObservedWorld(nobody, now=NOW)

    assert all(table.of(world).empty for table in TABLES.values())


def test_requests_are_counted_per_second(server: FakeServer, look: Callable[..., Any]) -> None:
    server.answered(3, "champion", 100, 0.001, 12)
    look(0)
    server.answered(3, "champion", 120, 0.001, 12)
    server.requests["/predict", 422] = 30
    look(1)
    found = look(2)["serving_requests"]

    rates = found.pivot(index="at", columns="status", values="per_second")
    assert rates.to_numpy().tolist() == [[2.0, 0.5], [0.0, 0.0]]


def test_a_canary_is_compared_in_the_minutes_it_answered(
    server: FakeServer, look: Callable[..., Any]
) -> None:
    # given a champion that had slow answers before the canary came
    server.answered(3, "champion", 1, 0.001, 12)
    look(0)
    server.answered(3, "champion", 500, 0.9, 50)
    look(1)
    server.answered(3, "champion", 90, 0.0012, 10)
    server.answered(4, "canary", 10, 0.0055, 22)
    server.errors[4, "canary", "exception"] = 2
    tables = look(2)

    # when both are put side by side
    found = tables["serving_comparison"].set_index("role")

    # then only of the same minutes
    assert found["requests"].to_dict() == {"champion": 90, "canary": 12}
    assert found.loc["canary", "share"] == pytest.approx(12 / 102)
    assert found.loc["canary", "error_share"] == pytest.approx(1 / 6)
    assert 1.0 <= found.loc["champion", "p99_ms"] <= 1.5
    assert 5.0 <= found.loc["canary", "p50_ms"] <= 7.5
    assert found["mean_prediction"].to_dict() == {"champion": 10, "canary": 22}
    shares = tables["serving_predictions"]
    assert shares.groupby("role")["share"].sum().to_dict() == {"champion": 1, "canary": 1}
    canary = shares[shares["role"] == "canary"].set_index("high")["share"]
    assert canary[25.0] == 1
    assert tables["serving_errors"]["kind"].tolist() == ["exception in version 4, canary"]

    # and when the canary is long over, the whole day counts again
    server.answered(3, "champion", 10, 0.0012, 10)
    found = look(80)["serving_comparison"].set_index("role")
    assert found["requests"].to_dict() == {"champion": 600, "canary": 12}


def test_what_is_served_now_and_when_it_stops(
    server: FakeServer, look: Callable[..., Any], settings: Settings
) -> None:
    # given a champion and a canary
    until = datetime.now(timezone.utc) + timedelta(hours=1)
    rollout = Rollout(
        deployment="d-1",
        version=4,
        mode="canary",
        percent=10,
        started_at=NOW,
        expires_at=until,
        by="a test",
        reason="a test",
    )
    champion, beside = (Served(version=v, bundle=f"v{v}", since=NOW) for v in (3, 4))
    state = ServingState(champion=champion, rollout=rollout, beside=beside, updated_at=NOW)
    write_state(settings.served, state)
    server.answered(3, "champion", 1, 0.001, 12)
    server.answered(4, "canary", 1, 0.001, 12)
    look(0)
    server.answered(3, "champion", 594, 0.001, 12)
    server.requests["/predict", 500] = 6
    row: Any = look(1)["serving_now"].iloc[0]

    assert row["up"]
    assert (row["champion"], row["beside"], row["mode"], row["percent"]) == (3, 4, "canary", 10)
    assert row["per_second"] == pytest.approx(10)
    assert row["failed_share"] == pytest.approx(0.01)

    # when it no longer answers
    settings_gone = settings.model_copy(
        update={
            "serving": settings.serving.model_copy(update={"metrics_url": "http://127.0.0.1:9"})
        }
    )
    world = ObservedWorld(settings_gone, now=NOW + timedelta(minutes=9))
    row = TABLES["serving_now"].of(world).iloc[0]

    # then what it did last is still shown
    assert not row["up"]
    assert row["at"] == NOW + timedelta(minutes=1)
