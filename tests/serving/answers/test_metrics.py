"""What a worker counts: each answer in its bucket, differences once, and what it holds now."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter

from demo.servers import free_ports
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.serving.answers import metrics as module
from mlops.serving.answers.metrics import SECONDS, ServingMetrics

BOUNDS = TaxiTrips.answer_bounds


def samples(metrics: ServingMetrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
    }


def test_each_value_is_in_the_bucket_of_its_upper_bound_and_all_above() -> None:
    metrics = ServingMetrics(BOUNDS)
    version = metrics.of(3, "champion")
    at, above = SECONDS[4], np.nextafter(SECONDS[4], 1)
    version.answered(at, (BOUNDS[0], BOUNDS[1] + 0.5))
    version.answered(above, (BOUNDS[-1] + 1,))
    version.flush()
    version.flush()

    found = samples(metrics)
    labels = ("3", "champion")
    bucket = "mlops_serving_seconds_bucket"
    assert found[(bucket, *labels, str(SECONDS[3]))] == 0
    assert found[(bucket, *labels, str(SECONDS[4]))] == 1
    assert found[(bucket, *labels, str(SECONDS[5]))] == 2
    assert found[("mlops_serving_seconds_sum", *labels)] == pytest.approx(at + above)
    predicted = "mlops_serving_prediction"
    assert found[(f"{predicted}_bucket", *labels, str(BOUNDS[0]))] == 1
    assert found[(f"{predicted}_bucket", *labels, str(BOUNDS[1]))] == 1
    assert found[(f"{predicted}_bucket", *labels, str(BOUNDS[2]))] == 2
    assert found[(f"{predicted}_bucket", *labels, str(BOUNDS[-1]))] == 2
    assert found[(f"{predicted}_bucket", *labels, "+Inf")] == 3
    assert found[(f"{predicted}_sum", *labels)] == pytest.approx(
        BOUNDS[0] + BOUNDS[1] + 0.5 + BOUNDS[-1] + 1
    )
    assert found[("mlops_serving_answers_total", *labels)] == 2


def test_what_was_noted_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(ru_utime=2.0, ru_stime=0.5, ru_maxrss=7)
    monkeypatch.setattr(module.resource, "getrusage", lambda who: usage)
    metrics = ServingMetrics(BOUNDS)
    for _ in range(2):
        metrics.request("/predict", 200)
    metrics.request("/predict", 422)
    metrics.flush()
    metrics.flush()
    usage.ru_utime = 3.0
    metrics.request("/predict", 200)
    metrics.flush()

    found = samples(metrics)
    assert found["mlops_serving_requests_total", "/predict", "200"] == 3
    assert found["mlops_serving_requests_total", "/predict", "422"] == 1
    assert found[("mlops_serving_cpu_seconds_total",)] == 3.5
    assert found[("mlops_serving_resident_bytes",)] > 0


def test_a_version_that_is_held_no_more_is_said_to_be() -> None:
    metrics = ServingMetrics(BOUNDS)
    metrics.holding([(1, "champion"), (2, "canary")])
    metrics.holding([(2, "champion")])
    metrics.of(2, "champion").failed("exception")
    metrics.of(2, "champion").failed("exception")

    found = samples(metrics)
    info = "mlops_serving_model_info"
    assert found[info, "1", "champion"] == 0 == found[info, "2", "canary"]
    assert found[info, "2", "champion"] == 1
    assert found["mlops_serving_errors_total", "2", "champion", "exception"] == 2
    assert metrics.of(2, "champion") is metrics.of(2, "champion")


@pytest.mark.parametrize(
    ("platform", "statm", "found"),
    [
        ("linux", "300 7 1", 7 * resource.getpagesize()),
        ("linux", None, 5 * 1_024),
        ("darwin", None, 5),
    ],
)
def test_memory_is_that_of_now_where_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, statm: Any, found: int
) -> None:
    if statm:
        (tmp_path / "statm").write_text(statm)
    monkeypatch.setattr(module, "_STATM", tmp_path / "statm")
    monkeypatch.setattr(module.sys, "platform", platform)

    usage: Any = SimpleNamespace(ru_maxrss=5)
    assert module._resident_bytes(usage) == found


def test_counts_lie_in_memory_if_they_may_and_in_a_folder_named_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setattr(module, "_MEMORY", tmp_path)
    folder = module.prepare_folder()
    assert folder.parent == tmp_path and folder.is_dir()
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)

    monkeypatch.setattr(module, "_MEMORY", tmp_path / "none")
    elsewhere = module.prepare_folder()
    assert elsewhere.is_dir() and elsewhere != folder
    elsewhere.rmdir()


def test_a_worker_that_died_is_forgotten_with_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for name in ("gauge_livesum_7.db", "gauge_livemax_7.db", "gauge_livesum_8.db", "counter_7.db"):
        (tmp_path / name).touch()

    module.forget_worker(tmp_path, 7)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "counter_7.db",
        "gauge_livesum_8.db",
    ]


def test_metrics_are_told_at_their_address_and_nowhere_else() -> None:
    registry = CollectorRegistry()
    Counter("asked", "", registry=registry).inc(3)
    (port,) = free_ports(1)
    with module.metrics_server("127.0.0.1", port, registry) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{port}"
            assert "asked_total 3.0" in httpx.get(f"{url}/metrics?x=1", trust_env=False).text
            assert httpx.get(f"{url}/", trust_env=False).status_code == 404
        finally:
            server.shutdown()
            thread.join()


def test_who_hangs_up_is_no_line_of_log_and_a_bug_is(capsys: pytest.CaptureFixture[str]) -> None:
    with module.metrics_server("127.0.0.1", 0, CollectorRegistry()) as server:
        assert server.daemon_threads, "a slow reader keeps no process alive"
        for error, told in (
            (BrokenPipeError(), False),
            (TimeoutError(), False),
            (KeyError(), True),
        ):
            try:
                raise error
            except Exception:
                server.handle_error(None, ("127.0.0.1", 1))  # type: ignore[arg-type]
            assert (type(error).__name__ in capsys.readouterr().err) == told
