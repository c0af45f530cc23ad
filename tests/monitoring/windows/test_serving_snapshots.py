"""What happened between two looks at counters that may begin anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.deployment.endpoint import Endpoint
from mlops.deployment.traffic import Scrape, parse_metrics
from mlops.monitoring.windows.serving_snapshots import (
    Counts,
    snapshot_files,
    take_snapshots,
)
from mlops.serving.answers.state import Served, ServingState, write_state
from mlops.settings import Settings, load_settings

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
Tell = Callable[[Scrape | None], None]


def metrics(answers: int, *, version: int = 1, role: str = "champion", errors: int = 0) -> str:
    labels = f'role="{role}",version="{version}"'
    return "\n".join(
        [
            "# TYPE mlops_serving_answers_total counter",
            f"mlops_serving_answers_total{{{labels}}} {answers}",
            "# TYPE mlops_serving_errors_total counter",
            f'mlops_serving_errors_total{{error="exception",{labels}}} {errors}',
            "# TYPE mlops_serving_seconds histogram",
            f'mlops_serving_seconds_bucket{{le="0.001",{labels}}} {answers // 2}',
            f'mlops_serving_seconds_bucket{{le="+Inf",{labels}}} {answers}',
            "# TYPE mlops_serving_prediction histogram",
            f"mlops_serving_prediction_count{{{labels}}} {3 * answers}",
            "# TYPE mlops_serving_cpu_seconds_total counter",
            f"mlops_serving_cpu_seconds_total {answers / 1_000}",
            "# TYPE mlops_serving_resident_bytes gauge",
            "mlops_serving_resident_bytes 5e+07",
            "",
        ]
    )


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Return how to say what the server tells from now on."""

    def tell(scrape: Scrape | None) -> None:
        monkeypatch.setattr(Endpoint, "scrape", lambda self: scrape)

    return tell


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path)})


def stored(home: Settings) -> list[Any]:
    """Return what can be read of what was noted, the latest last."""
    return [found for file in snapshot_files(home) if (found := file.read()) is not None]


def test_each_look_notes_what_happened_since_the_last(home: Settings, tell: Tell) -> None:
    tell(parse_metrics(metrics(100)))
    (first,) = take_snapshots(home, NOON)
    tell(parse_metrics(metrics(160, errors=2)))
    (second,) = take_snapshots(home, NOON + HOUR)

    assert (first.since, first.period.answers, first.period.trips) == (None, 100, 300)
    assert (second.since, second.period.answers, second.period.errors) == (NOON, 60, 2)
    assert second.period.seconds == {"0.001": 30, "inf": 60}
    assert second.period.cpu_seconds == pytest.approx(0.06)
    assert second.resident_bytes == 5e7
    assert stored(home) == [first, second]
    assert {file.version for file in snapshot_files(home)} == {1}


def test_a_server_that_was_started_again_counts_from_zero(home: Settings, tell: Tell) -> None:
    tell(parse_metrics(metrics(100)))
    take_snapshots(home, NOON)
    tell(parse_metrics(metrics(40)))

    (second,) = take_snapshots(home, NOON + HOUR)

    assert second.period == second.total
    assert second.period.answers == 40


def test_a_version_is_the_same_as_canary_and_as_champion_and_shadows_count_apart(
    home: Settings, tell: Tell
) -> None:
    roles = ("canary", "champion", "shadow")
    tell(parse_metrics("".join(metrics(10, version=2, role=role) for role in roles)))

    (found,) = take_snapshots(home, NOON)

    assert (found.version, found.period.answers, found.period.server_answers) == (2, 20, 30)


def test_nothing_is_noted_without_a_server_or_without_answers(
    home: Settings, tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(None)
    assert take_snapshots(home, NOON) == ()
    assert "latency and cost are not measured" in capsys.readouterr().out
    tell(parse_metrics(metrics(10)))
    take_snapshots(home, NOON)
    assert take_snapshots(home, NOON + HOUR) == ()
    assert len(stored(home)) == 1


def test_what_is_served_has_a_size(home: Settings, tell: Tell) -> None:
    bundle = home.served / "bundles" / "v1-abc"
    bundle.mkdir(parents=True)
    (bundle / "model.ubj").write_bytes(b"x" * 1_234)
    served = Served(version=1, bundle="v1-abc", since=NOON)
    write_state(home.served, ServingState(champion=served, updated_at=NOON))
    tell(parse_metrics(metrics(10)))

    (found,) = take_snapshots(home, NOON)

    assert found.bundle_bytes == 1_234


def test_a_snapshot_that_cannot_be_read_is_left_out(home: Settings, tell: Tell) -> None:
    tell(parse_metrics(metrics(10)))
    take_snapshots(home, NOON)
    (home.monitored / "serving" / "v1-20240301T130000.000000.json").write_text("{")

    assert len(stored(home)) == 1


counted = st.builds(
    Counts,
    answers=st.integers(0, 99),
    errors=st.integers(0, 9),
    trips=st.integers(0, 99),
    server_answers=st.integers(0, 99),
    seconds=st.dictionaries(st.sampled_from(["0.1", "1", "inf"]), st.integers(0, 9)),
)


@given(counted, counted)
def test_what_was_added_is_what_happened_since(one: Counts, other: Counts) -> None:
    both = one.plus(other)
    gained = both.since(one)

    assert gained.model_copy(update={"seconds": {}}) == other.model_copy(update={"seconds": {}})
    assert {k: v for k, v in gained.seconds.items() if v} == {
        k: v for k, v in other.seconds.items() if v
    }


@given(counted, counted)
def test_nothing_happened_less_than_never(before: Counts, after: Counts) -> None:
    gained = after.since(before)

    assert min(gained.answers, gained.errors, gained.trips, gained.server_answers) >= 0
